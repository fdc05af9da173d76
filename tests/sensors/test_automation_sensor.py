"""What the automation sensor asks for, on a small graph of the real shape: one chain, a dedup index, a mixture, models."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from resources.declare import Automation, declared, deliveries
from resources.phoenix import Phoenix
from resources.planner import Batch, Planner
from resources.report import materialized
from resources.runs import tags
from sensors.automation import automation_sensor, due

PARTITIONS = deliveries("cc")


@dataclass
class Graph:
    """Assets whose content is what they are told, in a lake of their own; runs are made when a test says so."""

    home: Path
    instance: dg.DagsterInstance
    content: dict[str, str] = field(default_factory=dict)
    during: dict[str, Callable[[], Any]] = field(default_factory=dict)  # called while the asset is being made
    broken: set[str] = field(default_factory=set)
    unsound: set[str] = field(default_factory=set)  # what fails its check
    kernel: str = "1"

    @functools.cached_property
    def phoenix(self) -> Phoenix:
        return Phoenix(home=str(self.home), workers=1)

    def definitions(self) -> dg.Definitions:
        def asset(
            key: str, *, all_of: tuple[str, ...] = (), same: tuple[str, ...] = (), **settings: Any
        ) -> Any:
            config = {"kernel": self.kernel} if key in ("cc/filtered", "models/kenlm") else {}
            described = declared(
                key, room="room", kernels=(), config=config, deps=[*all_of, *same], description="", **settings
            )

            @dg.asset(**described)
            def made(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:
                build = phoenix.start(context, config=config, same=same, all_of=all_of)
                place = f"{key}[{build.partition}]" if build.partition else key
                self.during.get(key, lambda: None)()
                if place in self.broken:
                    raise dg.Failure(place)
                rows = {"delivery": [build.partition], "value": [self.content.get(place, "1")]}
                passed = dg.AssetCheckResult(passed=place not in self.unsound)
                checks = [passed] if "conserves_rows" in settings else []
                return materialized(build.commit_frame(pl.DataFrame(rows)), checks=checks)

            return made

        mine, on_request = {"partitions": PARTITIONS}, {"automation": Automation.ON_REQUEST}
        model = {"automation": Automation.WHEN_MISSING}
        return dg.Definitions(
            assets=[
                asset("cc/raw", **mine, **on_request),
                asset("models/lid", **model),
                asset("models/kenlm", same=("models/lid",), all_of=("cc/raw",), **model),
                asset("cc/filtered", same=("cc/raw", "models/kenlm"), **mine),
                asset("cc/signatures", same=("cc/filtered",), **mine),
                asset("dedup/index", all_of=("cc/signatures",)),
                asset("cc/deduped", same=("cc/filtered", "dedup/index"), **mine),
                asset("cc/tagged", same=("cc/deduped",), conserves_rows=True, **mine),
                asset("qa/tagged", partitions=deliveries("qa"), conserves_rows=True),  # has no deliveries
                asset("mix/v3", all_of=("cc/tagged", "qa/tagged")),
                asset("tokens/v3", same=("mix/v3",)),
                asset("train/demo", same=("tokens/v3",), **on_request),
            ],
            sensors=[automation_sensor()],
            resources={"phoenix": self.phoenix},
            executor=dg.in_process_executor,
        )

    @property
    def planner(self) -> Planner:
        return Planner(self.definitions().get_repository_def(), self.phoenix.ledger, self.instance)

    def land(self, *keys: str) -> None:
        self.instance.add_dynamic_partitions(PARTITIONS.name or "", list(keys))
        for key in keys:
            self.make(["cc/raw"], key)

    def make(self, assets: list[str], partition: str = "", **run_tags: str) -> None:
        job = self.definitions().resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            asset_selection=[dg.AssetKey(asset.split("/")) for asset in assets],
            partition_key=partition or None, instance=self.instance, raise_on_error=False, tags=run_tags,
        )  # fmt: skip

    def tick(self) -> list[list[str]]:
        """Return what the sensor asks for now, without making it."""
        return [named(batch) for batch in due(self.planner)]

    def work(self, limit: int = 20) -> list[list[str]]:
        """Look and make what is asked for until nothing is; return the runs' assets in order."""
        runs = []
        for _ in range(limit):
            asked = due(self.planner)
            if not asked:
                return runs
            for batch in asked:
                runs.append(named(batch))
                self.make([item.asset for item in batch.items], batch.partition, **tags(batch))
        raise AssertionError(f"never quiet: {runs}")


def named(batch: Batch) -> list[str]:
    return [f"{item.asset}[{item.partition}]" if item.partition else item.asset for item in batch.items]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return Graph(tmp_path, dg.DagsterInstance.ephemeral())


@pytest.fixture
def made(graph: Graph) -> Graph:
    graph.land("a", "b")
    graph.work()
    return graph


def places(key: str) -> list[list[str]]:
    return [
        [f"cc/filtered[{key}]", f"cc/signatures[{key}]"],
        ["dedup/index"],
        [f"cc/deduped[{key}]", f"cc/tagged[{key}]"],
        ["mix/v3", "tokens/v3"],
    ]


def test_an_empty_home_makes_only_what_needs_no_data(graph: Graph) -> None:
    assert graph.work() == [["models/lid"]]


def test_the_first_deliveries_are_made_together_up_to_the_tokens(graph: Graph) -> None:
    graph.land("a", "b")
    assert graph.work() == [
        ["models/lid", "models/kenlm"],
        ["cc/filtered[a]", "cc/signatures[a]"],
        ["cc/filtered[b]", "cc/signatures[b]"],
        ["dedup/index"],
        ["cc/deduped[a]", "cc/tagged[a]"],
        ["cc/deduped[b]", "cc/tagged[b]"],
        ["mix/v3", "tokens/v3"],
    ]


def test_what_is_up_to_date_is_left_alone(made: Graph) -> None:
    assert made.tick() == []


def test_a_new_delivery_touches_its_own_partitions_and_what_collects_them(made: Graph) -> None:
    made.land("c")
    assert made.work() == places("c")


def test_the_same_bytes_again_start_nothing(made: Graph) -> None:
    made.make(["cc/raw"], "a")
    assert made.tick() == []


def test_other_bytes_go_as_far_as_they_make_a_difference(made: Graph) -> None:
    made.content = {"cc/raw[a]": "2"}
    made.make(["cc/raw"], "a")
    made.make(["cc/filtered"], "a")
    assert made.tick() == []


def test_a_changed_threshold_that_drops_nothing_new_leaves_the_index_alone(made: Graph) -> None:
    made.kernel = "2"
    runs = made.work()
    assert [run[0] for run in runs] == ["cc/filtered[a]", "cc/filtered[b]"]
    assert not any("dedup/index" in run for run in runs)


def test_decisions_wait_for_the_index_to_see_what_changed(made: Graph) -> None:
    made.kernel = "2"
    made.content = {"cc/filtered[a]": "2", "cc/signatures[a]": "2"}
    runs = made.work()
    assert runs.index(["dedup/index"]) < runs.index(["cc/deduped[a]", "cc/tagged[a]"])


def test_a_model_is_not_made_again_when_its_inputs_grow_or_its_configuration_changes(made: Graph) -> None:
    made.kernel = "2"
    made.land("c")
    assert not any("models/kenlm" in run for run in made.work())


def test_nothing_is_asked_for_twice_while_it_is_being_made(made: Graph) -> None:
    asked: list[list[str]] = []
    made.during["cc/signatures"] = lambda: asked.extend(made.tick())
    made.land("c")
    made.work()
    assert asked == []


def test_a_delivery_does_not_wait_for_another_one_that_is_being_read(made: Graph) -> None:
    asked: list[list[str]] = []

    def lands() -> None:
        del made.during["cc/filtered"]
        made.land("d")
        asked.extend(made.tick())

    made.during["cc/filtered"] = lands
    made.land("c")
    made.work()
    assert asked == [["cc/filtered[d]", "cc/signatures[d]"]]


def test_the_index_waits_for_all_that_is_being_read(made: Graph) -> None:
    made.land("c", "d")
    runs = made.work()
    assert [run for run in runs if "dedup/index" in run] == [["dedup/index"]]


def test_a_delivery_that_arrives_while_the_mixture_is_made_gets_into_it(made: Graph) -> None:
    def arrives() -> None:
        del made.during["mix/v3"]
        made.make(["cc/tagged"], "a")

    made.during["mix/v3"] = arrives
    made.content = {"cc/tagged[b]": "2", "cc/tagged[a]": "2"}
    made.make(["cc/tagged"], "b")
    assert [run[0] for run in made.work()] == ["mix/v3", "mix/v3"]


def test_bytes_that_land_while_the_earlier_ones_are_read_are_read_too(made: Graph) -> None:
    def lands() -> None:
        del made.during["cc/filtered"]
        made.content = {"cc/raw[c]": "2"}
        made.make(["cc/raw"], "c")

    made.during["cc/filtered"] = lands
    made.land("c")
    assert [run for run in made.work() if "cc/filtered[c]" in run] == [
        ["cc/filtered[c]", "cc/signatures[c]"]
    ] * 2


def test_a_delivery_that_cannot_be_read_is_tried_once_and_holds_up_no_other(made: Graph) -> None:
    made.broken = {"cc/filtered[c]"}
    made.land("c", "d")
    runs = made.work()
    assert [run for run in runs if "cc/filtered[c]" in run] == [["cc/filtered[c]", "cc/signatures[c]"]]
    assert runs[2:] == places("d")[1:]


def test_the_first_delivery_of_all_that_cannot_be_read_starts_nothing_that_collects(graph: Graph) -> None:
    graph.broken = {"cc/filtered[a]"}
    graph.land("a")
    assert graph.work() == [["models/lid", "models/kenlm"], ["cc/filtered[a]", "cc/signatures[a]"]]


def test_a_delivery_that_failed_is_tried_again_when_it_is_delivered_anew(made: Graph) -> None:
    made.broken = {"cc/filtered[c]"}
    made.land("c")
    made.work()
    made.broken = set()
    made.content = {"cc/raw[c]": "2"}
    made.make(["cc/raw"], "c")
    assert made.work() == places("c")


def test_decisions_wait_for_an_index_that_failed(made: Graph) -> None:
    made.broken = {"dedup/index"}
    made.land("c")
    assert made.work() == places("c")[:2]
    made.broken = set()
    made.make(["dedup/index"])
    assert made.work() == places("c")[2:]


def test_what_fails_its_check_goes_into_no_mixture_until_it_passes(made: Graph) -> None:
    made.unsound = {"cc/tagged[c]"}
    made.land("c")
    assert made.work() == places("c")[:3]
    made.unsound = set()
    made.make(["cc/tagged"], "c")
    assert made.work() == places("c")[3:]


def test_a_setting_that_goes_back_to_what_it_was_is_new_work(made: Graph) -> None:
    made.kernel = "2"
    made.work()
    made.kernel = "1"
    assert made.work()[0][0] == "cc/filtered[a]"


def test_training_never_starts_by_itself(made: Graph) -> None:
    made.land("c")
    assert not any("train/demo" in run for run in made.work())


def test_the_sensor_s_requests_say_why_and_carry_the_identity_of_their_work(made: Graph) -> None:
    made.land("c")
    definitions = made.definitions()
    context = dg.build_sensor_context(
        made.instance, definitions=definitions, resources={"phoenix": made.phoenix}
    )
    result = automation_sensor()(context)
    assert isinstance(result, dg.SensorResult)
    [request] = result.run_requests or ()
    [batch] = due(made.planner)
    assert request.run_key == batch.key
    assert (request.partition_key, request.tags["phoenix/why"]) == ("c", "not materialised yet")
    assert [key.to_user_string() for key in request.asset_selection or ()] == ["cc/filtered", "cc/signatures"]


def test_two_daemons_that_look_at_the_same_moment_ask_for_the_same_work_once(made: Graph) -> None:
    made.land("c", "d")
    definitions = made.definitions()
    start = threading.Barrier(3)
    asked: list[str] = []

    def daemon() -> None:
        context = dg.build_sensor_context(
            made.instance, definitions=definitions, resources={"phoenix": made.phoenix}
        )
        sensor = automation_sensor()
        start.wait()
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        asked.extend(str(request.run_key) for request in result.run_requests or ())

    threads = [threading.Thread(target=daemon) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == sorted(batch.key for batch in due(made.planner))
    assert len(asked) == 2

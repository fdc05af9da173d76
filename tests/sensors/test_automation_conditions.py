"""The automation policies on a small graph of the same shape: one chain, a dedup index, a mixture, a model."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest

from resources.declare import WHEN_MISSING, decided_by, declared, deliveries

pytestmark = pytest.mark.slow  # some 150 evaluations of the graph

PARTITIONS = deliveries("cc")
STAGES = ("filtered", "signatures", "deduped", "tagged")


@dataclass
class Graph:
    """Assets that give the data versions they are told to, and the sensor's ticks over them."""

    instance: dg.DagsterInstance
    versions: dict[str, str] = field(default_factory=dict)
    during: dict[str, Callable[[], Any]] = field(default_factory=dict)  # called while the asset is being made
    broken: set[str] = field(default_factory=set)
    unsound: set[str] = field(default_factory=set)  # what fails its check
    kernel: str = "1"
    cursor: Any = None

    def __post_init__(self) -> None:
        keys = functools.cache(
            self.instance.get_dynamic_partitions
        )  # as the daemon caches them within a tick
        self.instance.get_dynamic_partitions = keys  # type: ignore[method-assign]

    @functools.cached_property
    def by_kernel(self) -> dict[str, dg.Definitions]:
        return {}

    def definitions(self) -> dg.Definitions:
        if self.kernel not in self.by_kernel:
            self.by_kernel[self.kernel] = self.build()
        return self.by_kernel[self.kernel]

    def build(self) -> dg.Definitions:
        def asset(key: str, **settings: Any) -> dg.AssetsDefinition:
            config = {"kernel": self.kernel} if key == "cc/filtered" else {}

            @dg.asset(**declared(key, room="room", kernels=(), config=config, description="", **settings))
            def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
                place = f"{key}[{context.partition_key}]" if context.has_partition_key else key
                self.during.get(key, lambda: None)()
                if place in self.broken:
                    raise dg.Failure(place)
                checks = (
                    [dg.AssetCheckResult(passed=place not in self.unsound)]
                    if "conserves_rows" in settings
                    else []
                )
                version = dg.DataVersion(self.versions.get(place, "1"))
                return dg.MaterializeResult(data_version=version, check_results=checks)

            return made

        decided = decided_by("dedup/index", signatures="cc/signatures")
        return dg.Definitions(
            assets=[
                asset("cc/raw", partitions=PARTITIONS, automation=None),
                asset("models/lid", automation=WHEN_MISSING),
                asset("models/kenlm", deps=["models/lid", "cc/raw"], automation=WHEN_MISSING),
                asset("cc/filtered", deps=["cc/raw", "models/kenlm"], partitions=PARTITIONS),
                asset("cc/signatures", deps=["cc/filtered"], partitions=PARTITIONS),
                asset("dedup/index", deps=["cc/signatures"]),
                asset("cc/deduped", deps=["cc/filtered", "dedup/index"], partitions=PARTITIONS, automation=decided),
                asset("cc/tagged", deps=["cc/deduped"], partitions=PARTITIONS, conserves_rows=True),
                asset("qa/tagged", partitions=deliveries("qa"), conserves_rows=True),  # has no deliveries
                asset("mix/v3", deps=["cc/tagged", "qa/tagged"]),
                asset("tokens/v3", deps=["mix/v3"]),
                asset("train/demo", deps=["tokens/v3"], automation=None),
            ]
        )  # fmt: skip

    def land(self, *keys: str) -> None:
        self.instance.add_dynamic_partitions(PARTITIONS.name or "", list(keys))
        self.instance.get_dynamic_partitions.cache_clear()  # type: ignore[attr-defined]
        for key in keys:
            self.make(["cc/raw"], key)

    def make(self, assets: list[str], partition: str | None = None) -> None:
        job = self.definitions().resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey(asset.split("/")) for asset in assets]
        job.execute_in_process(
            asset_selection=selection, partition_key=partition, instance=self.instance, raise_on_error=False
        )

    def tick(self) -> dict[str | None, list[str]]:
        """Return what the sensor asks for, by partition, without making it."""
        result = dg.evaluate_automation_conditions(self.definitions(), self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        asked: dict[str | None, list[str]] = {}
        for one in result.results:
            for place in one.true_subset.expensively_compute_asset_partitions():
                asked.setdefault(place.partition_key, []).append(place.asset_key.to_user_string())
        return {partition: sorted(assets) for partition, assets in sorted(asked.items(), key=str)}

    def work(self, limit: int = 20) -> list[list[str]]:
        """Tick and make what is asked for until nothing is; return the runs' assets in order."""
        runs = []
        for _ in range(limit):
            asked = self.tick()
            if not asked:
                return runs
            for partition, assets in asked.items():
                runs.append([f"{asset}[{partition}]" if partition else asset for asset in assets])
                self.make(assets, partition)
        raise AssertionError(f"never quiet: {runs}")


@pytest.fixture
def graph() -> Graph:
    return Graph(dg.DagsterInstance.ephemeral())


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
        ["mix/v3"],
        ["tokens/v3"],
    ]


def test_an_empty_home_makes_only_the_models_that_need_no_data(graph: Graph) -> None:
    assert graph.work() == [["models/lid"]]


def test_the_first_deliveries_are_made_together_up_to_the_tokens(graph: Graph) -> None:
    graph.work()
    graph.land("a", "b")
    assert graph.work() == [
        ["models/kenlm"],
        ["cc/filtered[a]", "cc/signatures[a]"],
        ["cc/filtered[b]", "cc/signatures[b]"],
        ["dedup/index"],
        ["cc/deduped[a]", "cc/tagged[a]"],
        ["cc/deduped[b]", "cc/tagged[b]"],
        ["mix/v3", "tokens/v3"],
    ]


def test_what_was_missing_before_the_first_tick_is_made(graph: Graph) -> None:
    graph.land("a")
    assert graph.work()[-1] == ["mix/v3", "tokens/v3"]


def test_what_was_made_before_the_first_tick_is_left_alone(made: Graph) -> None:
    made.cursor = None
    assert made.work() == []


def test_a_new_delivery_touches_its_own_partitions_and_what_collects_them(made: Graph) -> None:
    made.versions = {"mix/v3": "2"}
    made.land("c")
    assert made.work() == places("c")


def test_the_index_decides_before_its_decisions_are_applied_though_its_version_stays(made: Graph) -> None:
    made.land("c")
    runs = made.work()
    assert runs.index(["dedup/index"]) < runs.index(["cc/deduped[c]", "cc/tagged[c]"])
    assert not any("cc/deduped[a]" in run for run in runs)


def test_the_same_bytes_again_start_nothing(made: Graph) -> None:
    made.make(["cc/raw"], "a")
    assert made.work() == []


def test_other_bytes_go_as_far_as_they_make_a_difference(made: Graph) -> None:
    made.versions = {"cc/raw[a]": "2"}
    made.make(["cc/raw"], "a")
    assert made.work() == [["cc/filtered[a]"]]


def test_a_changed_threshold_that_drops_nothing_new_stops_at_the_filter(made: Graph) -> None:
    made.tick()
    made.kernel = "2"
    assert made.work() == [["cc/filtered[a]"], ["cc/filtered[b]"]]


def test_a_filter_that_changed_is_signed_and_decided_before_it_is_deduplicated(made: Graph) -> None:
    made.tick()
    made.kernel = "2"
    made.versions = {"cc/filtered[a]": "2", "cc/signatures[a]": "2"}
    assert made.work()[2:] == [["cc/signatures[a]"], ["dedup/index"], ["cc/deduped[a]"]]


def test_a_model_is_not_made_again_when_its_inputs_grow(made: Graph) -> None:
    made.land("c")
    assert not any("models/kenlm" in run for run in made.work())


def test_a_delivery_that_arrives_while_the_mixture_is_made_gets_into_it(made: Graph) -> None:
    def arrives() -> None:
        del made.during["mix/v3"]
        made.tick()  # the mixture is in progress
        made.make(["cc/tagged"], "a")
        made.tick()

    made.during["mix/v3"] = arrives
    made.versions = {"cc/tagged[b]": "2", "cc/tagged[a]": "2"}
    made.make(["cc/tagged"], "b")
    assert made.work() == [["mix/v3"], ["mix/v3"]]


def test_a_delivery_that_arrives_between_the_request_and_the_run_gets_into_the_mixture(made: Graph) -> None:
    made.versions = {"cc/tagged[b]": "2", "cc/tagged[a]": "2"}
    made.make(["cc/tagged"], "b")
    assert made.tick() == {None: ["mix/v3"]}
    made.make(["cc/tagged"], "a")
    made.during["mix/v3"] = made.tick
    made.make(["mix/v3"])
    assert made.work() == [["mix/v3"]]


def test_bytes_that_land_while_the_earlier_ones_are_read_are_read_too(made: Graph) -> None:
    def lands() -> None:
        del made.during["cc/filtered"]
        made.tick()
        made.versions = {"cc/raw[c]": "2"}
        made.make(["cc/raw"], "c")
        made.tick()

    made.during["cc/filtered"] = lands
    made.land("c")
    runs = made.work()
    assert runs[:2] == [["cc/filtered[c]", "cc/signatures[c]"], ["cc/filtered[c]"]]
    assert runs[2:] == places("c")[1:4]


def test_what_a_run_makes_on_its_way_starts_nothing_again(made: Graph) -> None:
    made.during["cc/signatures"] = made.tick
    made.land("c")
    assert made.work() == places("c")[:4]


def test_a_delivery_that_cannot_be_read_holds_up_no_other(made: Graph) -> None:
    made.broken = {"cc/filtered[c]"}
    made.land("c", "d")
    runs = made.work()
    assert [run for run in runs if "cc/filtered[c]" in run] == [["cc/filtered[c]", "cc/signatures[c]"]]
    assert ["cc/deduped[d]", "cc/tagged[d]"] in runs
    assert ["mix/v3"] in runs


def test_a_delivery_that_failed_is_tried_again_when_it_is_delivered_anew(made: Graph) -> None:
    made.broken = {"cc/filtered[c]"}
    made.land("c")
    made.work()
    made.broken = set()
    made.versions = {"cc/raw[c]": "2"}
    made.make(["cc/raw"], "c")
    assert made.work() == [["cc/filtered[c]"], ["cc/signatures[c]"], *places("c")[1:4]]


def test_decisions_wait_for_an_index_that_failed(made: Graph) -> None:
    made.broken = {"dedup/index"}
    made.land("c")
    assert made.work() == [["cc/filtered[c]", "cc/signatures[c]"], ["dedup/index"]]
    made.broken = set()
    made.make(["dedup/index"])
    assert made.work() == [["cc/deduped[c]", "cc/tagged[c]"], ["mix/v3"]]


def test_what_fails_its_check_goes_into_no_mixture_until_it_passes(made: Graph) -> None:
    made.unsound = {"cc/tagged[c]"}
    made.land("c")
    assert made.work() == places("c")[:3]
    made.unsound = set()
    made.make(["cc/tagged"], "c")
    assert made.work() == [["mix/v3"]]


def test_training_never_starts_by_itself(made: Graph) -> None:
    made.land("c")
    assert not any("train/demo" in run for run in made.work())

"""What the landing sensor asks for, on real delivery folders, and how it agrees with the command line."""

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from phoenix_assets.definitions import defs
from phoenix_assets.ingest.delivery import DeliveryManifest, Licence, Use, describe, write_manifest
from phoenix_assets.sources import load_sources
from resources.arrivals import take
from resources.phoenix import Phoenix
from resources.planner import Planner
from resources.quarantine import quarantined_deliveries
from resources.runs import bring_up_to_date
from sensors.landing import landing_sensor

SOURCES = load_sources()
NAME = "notes-2024-06"


def deliver(landing: Path, text: str, source: str = "manual") -> Path:
    folder = landing / source / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.txt").write_text(text, "utf-8")
    manifest = DeliveryManifest(
        source=source, delivery=NAME, vendor="us", licence=Licence(id="CC0-1.0", allows=(Use.PRETRAINING,)),
        received=date(2024, 6, 1), format="txt", files=(describe(folder, "a.txt"),),
    )  # fmt: skip
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def phoenix(tmp_path: Path) -> Phoenix:
    return Phoenix(home=str(tmp_path), workers=1)


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def look(phoenix: Phoenix, instance: dg.DagsterInstance) -> Callable[[], list[str]]:
    """Return the sensor's next evaluation: the partitions that it asks to register."""
    sensor = landing_sensor(SOURCES)
    cursor: list[str | None] = [None]

    def evaluate() -> list[str]:
        context = dg.build_sensor_context(
            instance, cursor=cursor[0], resources={"phoenix": phoenix}, definitions=defs
        )
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        cursor[0] = result.cursor
        for request in result.dynamic_partitions_requests or ():
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return [f"{run.job_name}[{run.partition_key}]" for run in result.run_requests or ()]

    return evaluate


@pytest.fixture
def by_command(phoenix: Phoenix, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Planner:
    """Return the planner behind `phoenix materialize`, the delivery registered by it."""
    monkeypatch.setenv("PHOENIX_HOME", phoenix.home)
    deliver(phoenix.landing, "one")
    assert list(take(phoenix, instance, SOURCES)) == [(f"manual/{NAME}", "")]
    planner = Planner(defs.get_repository_def(), phoenix.ledger, instance)
    assert bring_up_to_date(planner, {"manual/raw"}) == 1
    return planner


def test_a_complete_delivery_becomes_a_partition_and_a_run(
    phoenix: Phoenix, instance: dg.DagsterInstance, look: Callable[[], list[str]]
) -> None:
    deliver(phoenix.landing, "one")
    assert look() == [f"register_manual[{NAME}]"]
    assert instance.get_dynamic_partitions("manual_deliveries") == [NAME]
    assert look() == []


def test_files_that_were_delivered_again_are_checked_again(
    phoenix: Phoenix, look: Callable[[], list[str]]
) -> None:
    folder = deliver(phoenix.landing, "one")
    look()
    os.utime(folder / "a.txt", (1, 1))
    assert look() == [f"register_manual[{NAME}]"]


def test_an_incomplete_delivery_is_waited_for(phoenix: Phoenix, look: Callable[[], list[str]]) -> None:
    folder = deliver(phoenix.landing, "one")
    (folder / "a.txt").write_text("o", "utf-8")
    assert look() == []
    (folder / "a.txt").write_text("one", "utf-8")
    assert look() == [f"register_manual[{NAME}]"]


def test_a_delivery_of_an_unknown_source_is_quarantined_until_it_is_corrected(
    phoenix: Phoenix, instance: dg.DagsterInstance, look: Callable[[], list[str]]
) -> None:
    folder = deliver(phoenix.landing, "one", source="gossip")
    assert look() == []
    rows = quarantined_deliveries(phoenix.lake)
    assert rows.select("source", "delivery", "reason").rows() == [("gossip", NAME, "unknown_source")]
    shutil.rmtree(folder)
    deliver(phoenix.landing, "one")
    assert look() == [f"register_manual[{NAME}]"]


def test_what_the_command_line_has_registered_is_not_registered_again(
    by_command: Planner, look: Callable[[], list[str]]
) -> None:
    assert look() == []
    assert by_command.stale({"manual/raw"}) == []


def test_another_manifest_under_the_same_name_is_registered_by_both(
    phoenix: Phoenix, by_command: Planner, look: Callable[[], list[str]]
) -> None:
    deliver(phoenix.landing, "two")
    assert [item.reason for item in by_command.stale({"manual/raw"})] == ["delivered anew"]
    assert look() == [f"register_manual[{NAME}]"]


def test_files_removed_from_the_landing_folder_make_nothing_stale(
    phoenix: Phoenix, by_command: Planner, look: Callable[[], list[str]]
) -> None:
    shutil.rmtree(phoenix.landing / "manual" / NAME)
    assert by_command.stale({"manual/raw"}) == []
    assert look() == []

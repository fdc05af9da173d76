"""What the landing sensor asks for, on real delivery folders, and how it agrees with the command line."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from phoenix_assets.definitions import defs
from phoenix_assets.sources import load_sources
from resources.arrivals import take
from resources.phoenix import Phoenix
from resources.planner import Planner
from resources.quarantine import quarantined_deliveries
from resources.runs import bring_up_to_date

SOURCES = load_sources()
NAME = "notes-2024-06"


@pytest.fixture
def by_command(
    phoenix: Phoenix,
    instance: dg.DagsterInstance,
    deliver: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Planner:
    """Return the planner behind `phoenix materialize`, the delivery registered by it."""
    monkeypatch.setenv("PHOENIX_HOME", phoenix.home)
    deliver("one")
    assert list(take(phoenix, instance, SOURCES)) == [(f"manual/{NAME}", "")]
    planner = Planner(defs.get_repository_def(), phoenix.ledger, instance)
    assert bring_up_to_date(planner, {"manual/raw"}) == 1
    return planner


def test_a_complete_delivery_becomes_a_partition_and_a_run(
    deliver: Callable[..., Path], instance: dg.DagsterInstance, look: Callable[[], list[str]]
) -> None:
    deliver("one")
    assert look() == [f"register_manual[{NAME}]"]
    assert instance.get_dynamic_partitions("manual_deliveries") == [NAME]
    assert look() == []


def test_files_that_were_delivered_again_are_checked_again(
    deliver: Callable[..., Path], look: Callable[[], list[str]]
) -> None:
    folder = deliver("one")
    look()
    os.utime(folder / "a.txt", (1, 1))
    assert look() == [f"register_manual[{NAME}]"]


def test_an_incomplete_delivery_is_waited_for(
    deliver: Callable[..., Path], look: Callable[[], list[str]]
) -> None:
    folder = deliver("one")
    (folder / "a.txt").write_text("o", "utf-8")
    assert look() == []
    (folder / "a.txt").write_text("one", "utf-8")
    assert look() == [f"register_manual[{NAME}]"]


def test_a_delivery_of_an_unknown_source_is_quarantined_until_it_is_corrected(
    phoenix: Phoenix,
    deliver: Callable[..., Path],
    instance: dg.DagsterInstance,
    look: Callable[[], list[str]],
) -> None:
    folder = deliver("one", source="gossip")
    assert look() == []
    rows = quarantined_deliveries(phoenix.lake)
    assert rows.select("source", "delivery", "reason").rows() == [("gossip", NAME, "unknown_source")]
    shutil.rmtree(folder)
    deliver("one")
    assert look() == [f"register_manual[{NAME}]"]


def test_what_the_command_line_has_registered_is_not_registered_again(
    by_command: Planner, look: Callable[[], list[str]]
) -> None:
    assert look() == []
    assert by_command.stale({"manual/raw"}) == []


def test_another_manifest_under_the_same_name_is_registered_by_both(
    deliver: Callable[..., Path], by_command: Planner, look: Callable[[], list[str]]
) -> None:
    deliver("two")
    assert [item.reason for item in by_command.stale({"manual/raw"})] == ["delivered anew"]
    assert look() == [f"register_manual[{NAME}]"]


def test_files_removed_from_the_landing_folder_make_nothing_stale(
    phoenix: Phoenix, by_command: Planner, look: Callable[[], list[str]]
) -> None:
    shutil.rmtree(phoenix.landing / "manual" / NAME)
    assert by_command.stale({"manual/raw"}) == []
    assert look() == []

"""What the watchdog tells of, on the real graph: an input that has been newer than its child for too long."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from phoenix_assets.definitions import defs
from phoenix_assets.sources import load_sources
from resources.arrivals import take
from resources.overdue import overdue
from resources.phoenix import Phoenix
from resources.planner import Planner
from resources.runs import bring_up_to_date
from resources.work import WORK_TAG
from sensors.watchdog import watchdog_sensor

NAME = "notes-2024-06"
TEXT = "It was a bright cold day in April, and the clocks were striking thirteen."
HOUR = timedelta(hours=1)

Deliver = Callable[..., Path]


@pytest.fixture
def planner(phoenix: Phoenix, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Planner:
    monkeypatch.setenv("PHOENIX_HOME", phoenix.home)
    return Planner(defs.get_repository_def(), phoenix.ledger, instance)


@pytest.fixture
def landed(deliver: Deliver, phoenix: Phoenix, instance: dg.DagsterInstance) -> Callable[..., None]:
    def land(*deliveries: str) -> None:
        for name in deliveries:
            deliver(f"{TEXT} {name}", delivery=name)
        list(take(phoenix, instance, load_sources()))

    return land


@pytest.fixture
def watch(
    phoenix: Phoenix, instance: dg.DagsterInstance, configured: Callable[..., None]
) -> Callable[[], list[tuple[str, str]]]:
    """Return what the watchdog tells when it looks; nothing may be newer for any time."""
    watchdog = {"interval_seconds": 1, "newer_for_seconds": 0}
    configured("alerts", watchdog=watchdog)

    def evaluate() -> list[tuple[str, str]]:
        log = phoenix.path / "alerts.jsonl"
        known = log.read_text("utf-8") if log.exists() else ""
        watchdog_sensor()(dg.build_sensor_context(instance, definitions=defs, resources={"phoenix": phoenix}))
        new = log.read_text("utf-8").removeprefix(known) if log.exists() else ""
        return [(one["case"], one["state"]) for one in map(json.loads, new.splitlines())]

    return evaluate


def names(planner: Planner, later: timedelta) -> list[str]:
    return [one.case for one in overdue(planner, 2 * HOUR, datetime.now(UTC) + later)]


def test_an_input_may_be_newer_for_a_while(planner: Planner, landed: Callable[..., None]) -> None:
    landed(NAME)
    bring_up_to_date(planner, {"manual/raw"})
    assert names(planner, HOUR) == []
    assert names(planner, 3 * HOUR) == [f"manual/raw > manual/extracted[{NAME}]"]


def test_a_delivery_that_was_never_registered_is_behind_its_landing_folder(
    planner: Planner, landed: Callable[..., None], deliver: Deliver, phoenix: Phoenix, instance: Any
) -> None:
    landed(NAME)
    unregistered = f"landing/manual/{NAME} > manual/raw[{NAME}]"
    assert names(planner, 3 * HOUR) == [unregistered]
    bring_up_to_date(planner, {"manual/raw", "manual/extracted"})
    assert unregistered not in names(planner, 3 * HOUR)
    deliver("another text")
    list(take(phoenix, instance, load_sources()))
    assert unregistered in names(planner, 3 * HOUR)


def test_each_case_is_told_once_and_again_when_it_is_solved(
    planner: Planner, landed: Callable[..., None], watch: Callable[[], list[tuple[str, str]]]
) -> None:
    landed(NAME)
    bring_up_to_date(planner, {"manual/raw"})
    behind = f"behind manual/raw > manual/extracted[{NAME}]"
    assert watch() == [(behind, "open")]
    assert watch() == []
    bring_up_to_date(planner, {"manual/extracted"})
    assert watch() == [(behind, "solved")]  # what follows waits for a model


def test_one_that_was_tried_in_vain_hides_no_other(planner: Planner, landed: Callable[..., None]) -> None:
    landed("d1", "d2")
    bring_up_to_date(planner, {"manual/raw"})
    first, _ = planner.ready(planner.stale(planner.automated(), retrain=False))[:2]
    planner.instance.create_run_for_job(
        defs.resolve_job_def("register_manual"), tags={WORK_TAG: first.key, "dagster/partition": "d1"}
    )
    assert sorted(names(planner, 3 * HOUR)) == [
        "manual/raw > manual/extracted[d1]",
        "manual/raw > manual/extracted[d2]",
    ]


def test_an_alert_names_both_and_says_what_to_do(
    planner: Planner,
    landed: Callable[..., None],
    watch: Callable[[], list[tuple[str, str]]],
    phoenix: Phoenix,
) -> None:
    landed(NAME)
    bring_up_to_date(planner, {"manual/raw"})
    watch()
    message = json.loads((phoenix.path / "alerts.jsonl").read_text("utf-8"))["message"]
    assert message.startswith(f"manual/raw has been newer than manual/extracted[{NAME}] for 0.0 h, since ")
    assert message.endswith("run: phoenix materialize manual/extracted --only")

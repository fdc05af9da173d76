"""Deliveries as they really come: odd names, other places, corrections, and two daemons that look at the same moment."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from phoenix_assets.definitions import defs
from phoenix_assets.ingest.landing_places import origin_of
from phoenix_assets.sources import load_sources
from resources.arrivals import bring, take
from resources.landing_register import LandingRegister
from resources.operations import claim
from resources.phoenix import Phoenix
from resources.quarantine import quarantined_deliveries
from resources.work import WORK_TAG
from sensors.landing import landing_sensor

SOURCES = load_sources()
NAME = "notes-2024-06"
ODD_NAMES = ["a,b", "with space", "书😀", "tab\tand\nline", "-", "con.", "x" * 250, os.fsdecode(b"\xff\xfe")]

Deliver = Callable[..., Path]
Look = Callable[[], list[str]]


def alerts(phoenix: Phoenix) -> list[tuple[str, str]]:
    log = phoenix.path / "alerts.jsonl"
    lines = log.read_text("utf-8").splitlines() if log.exists() else []
    return [(one["case"], one["state"]) for one in map(json.loads, lines)]


def quarantine(phoenix: Phoenix) -> dict[str, str]:
    rows = quarantined_deliveries(phoenix.lake).select("delivery", "reason").iter_rows()
    return dict(rows)  # type: ignore[arg-type]


def test_odd_names_go_to_quarantine_and_hold_up_nobody(
    phoenix: Phoenix, deliver: Deliver, look: Look
) -> None:
    for name in ODD_NAMES:
        deliver("one", delivery=name)
    deliver("one")
    assert look() == [
        "register_manual[-]",  # odd, but it can be a name
        "register_manual[con.]",
        f"register_manual[{NAME}]",
    ]
    found = quarantine(phoenix)
    assert found == dict.fromkeys(
        ["a,b", "with space", "书😀", "tab\tand\nline", "x" * 250, "⟦U+DCFF⟧⟦U+DCFE⟧"], "bad_manifest"
    )
    assert len(alerts(phoenix)) == len(found)
    assert look() == []
    assert len(alerts(phoenix)) == len(found)


@pytest.mark.parametrize("name", ["../../x", "/etc", "x" * 300, ".", ""])
def test_a_manifest_that_names_its_delivery_badly_is_quarantined_and_nothing_is_written_elsewhere(
    phoenix: Phoenix, deliver: Deliver, look: Look, name: str
) -> None:
    folder = deliver("one")
    manifest = (folder / "delivery.yaml").read_text("utf-8")
    (folder / "delivery.yaml").unlink()
    (folder / "delivery.yaml").write_text(manifest.replace(f"delivery: {NAME}", f"delivery: {name!r}"))
    assert look() == []
    assert quarantine(phoenix) == {NAME: "bad_manifest"}
    assert [path.name for path in phoenix.landing.iterdir()] == ["manual"]


def test_a_rejected_delivery_is_told_of_once_and_again_when_it_is_corrected(
    phoenix: Phoenix, deliver: Deliver, look: Look
) -> None:
    deliver("one", format="xlsx")
    assert look() == look() == []
    assert quarantine(phoenix) == {NAME: "unknown_format"}
    deliver("one")
    assert look() == [f"register_manual[{NAME}]"]
    assert quarantine(phoenix) == {}
    case = f"delivery manual/{NAME}"
    assert alerts(phoenix) == [(case, "open"), (case, "solved")]


def test_a_manifest_that_is_edited_after_landing_is_registered_as_a_correction(
    phoenix: Phoenix, deliver: Deliver, look: Look, instance: dg.DagsterInstance
) -> None:
    deliver("one")
    look()
    deliver("one", vendor="somebody else")
    assert look() == [f"register_manual[{NAME}]"]


def test_what_was_asked_for_is_done_when_there_is_a_run_and_is_asked_for_again_when_none_comes(
    phoenix: Phoenix, deliver: Deliver, look: Look, configured: Callable[..., None], instance: Any
) -> None:
    deliver("one")
    assert look() == [f"register_manual[{NAME}]"]
    [noted] = LandingRegister(phoenix.path).read().values()
    assert noted.is_open
    claim(phoenix.path, [], seconds=0, now=0)  # every claim is old by now
    assert look() == [f"register_manual[{NAME}]"]
    work = f"manual/{NAME}@{noted.arrival.fingerprint}"
    instance.create_run_for_job(
        defs.resolve_job_def("register_manual"), tags={WORK_TAG: work, "dagster/partition": NAME}
    )
    claim(phoenix.path, [], seconds=0, now=0)
    assert look() == []
    [noted] = LandingRegister(phoenix.path).read().values()
    assert not noted.is_open


def test_a_register_that_is_lost_makes_nothing_twice(
    phoenix: Phoenix, deliver: Deliver, look: Look, instance: dg.DagsterInstance
) -> None:
    deliver("one")
    look()
    defs.resolve_job_def("register_manual").execute_in_process(
        partition_key=NAME, instance=instance, resources={"phoenix": phoenix}
    )
    (phoenix.path / "operations.sqlite").unlink()
    assert look() == []


def test_what_is_gone_from_the_landing_folder_is_forgotten(
    phoenix: Phoenix, deliver: Deliver, look: Look
) -> None:
    folder = deliver("one")
    look()
    shutil.rmtree(folder)
    look()
    assert LandingRegister(phoenix.path).read() == {}


def test_two_daemons_that_look_at_the_same_moment_ask_for_every_delivery_once(
    phoenix: Phoenix, deliver: Deliver, instance: dg.DagsterInstance
) -> None:
    names = [f"d{number}" for number in range(12)]
    for name in names:
        deliver("one", delivery=name)
    deliver("one", delivery="bad", format="xlsx")
    start = threading.Barrier(4)
    asked: list[str] = []
    failed: list[BaseException] = []

    def daemon() -> None:
        context = dg.build_sensor_context(instance, resources={"phoenix": phoenix}, definitions=defs)
        sensor = landing_sensor(SOURCES)
        start.wait()
        try:
            result = sensor(context)
            assert isinstance(result, dg.SensorResult)
            asked.extend(str(run.partition_key) for run in result.run_requests or ())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=daemon) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(asked) == sorted(names)
    assert alerts(phoenix) == [("delivery manual/bad", "open")]
    assert quarantine(phoenix) == {"bad": "unknown_format"}


@pytest.fixture
def bucket(tmp_path: Path, configured: Callable[..., None]) -> Path:
    """A place elsewhere that is watched."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    configured(remotes=[{"url": folder.as_uri()}])
    return folder


def test_a_delivery_elsewhere_is_fetched_only_when_it_is_taken(
    phoenix: Phoenix, deliver: Deliver, look: Look, instance: dg.DagsterInstance, bucket: Path
) -> None:
    deliver("one", place=bucket)
    assert look() == [f"register_manual[{NAME}]"]
    landed = phoenix.landing / "manual" / NAME
    assert not landed.exists()
    defs.resolve_job_def("register_manual").execute_in_process(
        partition_key=NAME, instance=instance, resources={"phoenix": phoenix}
    )
    assert (landed / "a.txt").read_text("utf-8") == "one"
    assert origin_of(landed) == bucket.as_uri()
    stored = phoenix.ledger.head("manual/raw", NAME)
    assert stored is not None
    assert stored.record.counts["bytes"] == 3
    assert look() == []  # what was fetched has not landed once more


def test_a_damaged_file_elsewhere_is_quarantined_by_its_checksum(
    phoenix: Phoenix, deliver: Deliver, look: Look, instance: dg.DagsterInstance, bucket: Path
) -> None:
    (deliver("one", place=bucket) / "a.txt").write_text("two", "utf-8")
    look()
    defs.resolve_job_def("register_manual").execute_in_process(
        partition_key=NAME, instance=instance, resources={"phoenix": phoenix}
    )
    stored = phoenix.ledger.head("manual/raw", NAME)
    assert stored is not None
    assert stored.record.reasons == {"wrong_checksum": 1}
    assert alerts(phoenix) == [(f"files manual/{NAME}", "open")]


def test_a_correction_elsewhere_replaces_what_was_fetched_and_fetches_only_what_is_new(
    phoenix: Phoenix, deliver: Deliver, bucket: Path
) -> None:
    deliver("one", place=bucket)
    folder = bring(phoenix, "manual", NAME)
    kept = (folder / "a.txt").stat().st_ino
    deliver("one", place=bucket, vendor="somebody else")
    bring(phoenix, "manual", NAME)
    assert (folder / "a.txt").stat().st_ino == kept
    deliver("two", place=bucket)
    bring(phoenix, "manual", NAME)
    assert (folder / "a.txt").read_text("utf-8") == "two"
    assert sorted(path.name for path in folder.parent.iterdir()) == [f".{NAME}.origin", NAME]


def test_the_command_line_takes_what_lies_elsewhere_and_notices_corrections(
    phoenix: Phoenix, deliver: Deliver, bucket: Path, instance: dg.DagsterInstance
) -> None:
    deliver("one", place=bucket)
    assert list(take(phoenix, instance, SOURCES)) == [(f"manual/{NAME}", "")]
    deliver("two", place=bucket)
    assert list(take(phoenix, instance, SOURCES)) == []
    assert (phoenix.landing / "manual" / NAME / "a.txt").read_text("utf-8") == "two"


def test_a_name_that_is_taken_here_is_refused_elsewhere_and_the_local_delivery_stays(
    phoenix: Phoenix, deliver: Deliver, look: Look, bucket: Path
) -> None:
    deliver("one")
    deliver("two", place=bucket)
    assert look() == [f"register_manual[{NAME}]"]
    assert quarantine(phoenix) == {NAME: "name_taken"}
    assert (bring(phoenix, "manual", NAME) / "a.txt").read_text("utf-8") == "one"


def test_a_place_out_of_reach_holds_up_no_other_and_is_told_of_until_it_is_back(
    phoenix: Phoenix, deliver: Deliver, look: Look, configured: Callable[..., None]
) -> None:
    url = "nosuchprotocol://bucket/landing"
    configured(remotes=[{"url": url}])
    deliver("one")
    assert look() == [f"register_manual[{NAME}]"]
    assert look() == []
    configured(remotes=[])
    assert look() == []
    assert alerts(phoenix) == [(f"landing {url}", "open"), (f"landing {url}", "solved")]

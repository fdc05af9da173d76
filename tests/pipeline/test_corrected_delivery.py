"""A corrected delivery replaces its partition, and its materialisations say what changed."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.ingest.delivery import DeliveryManifest, Licence, Use, describe, write_manifest
from resources.changes import compared

TEXT = "It was a bright cold day in April, and the clocks were striking thirteen."


def deliver(landing: Path, files: dict[str, str], **changes: Any) -> None:
    folder = landing / "book" / "d1"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    manifest = DeliveryManifest(
        source="book", delivery="d1", vendor="a vendor", licence=Licence(id="CC-BY-4.0", allows=(Use.PRETRAINING,)),
        received="2024-08-01", format="txt", files=tuple(describe(folder, name) for name in files),
    )  # fmt: skip
    write_manifest(folder, manifest.model_copy(update=changes))


def shown(home: Any, stage: str) -> dict[str, Any]:
    """Return what the newest materialisation says of what changed."""
    event = home.instance.get_latest_materialization_event(dg.AssetKey(["book", stage]))
    metadata = event.asset_materialization.metadata
    return {name: value.value for name, value in metadata.items() if "changed" in name or "_added" in name or "_removed" in name}  # fmt: skip


def test_a_corrected_delivery_replaces_its_partition_and_says_what_changed(empty_home: Any) -> None:
    landing = empty_home.path / "landing"
    deliver(landing, {"a.txt": f"{TEXT} A", "b.txt": f"{TEXT} B", "c.txt": f"{TEXT} C"})
    empty_home.take_landed()
    empty_home.bring_up("book/extracted")
    assert shown(empty_home, "raw") == shown(empty_home, "extracted") == {}
    deliver(landing, {"b.txt": f"{TEXT} B", "c.txt": f"{TEXT} C, corrected", "d.txt": f"{TEXT} D"})
    assert empty_home.take_landed() == {}
    assert empty_home.bring_up("book/extracted") == {("book/raw", "d1"), ("book/extracted", "d1")}
    for stage, what, column in (("raw", "files", "file"), ("extracted", "documents", "locator")):
        told = shown(empty_home, stage)
        table = told.pop(f"changed_{what}")
        assert told == {f"{what}_added": 1, f"{what}_removed": 1, f"{what}_changed": 1}
        assert next(line.strip("| ") for line in table.splitlines()) == f"{column} | change"
        assert all(f"{name}.txt" in table for name in "acd")
        assert "b.txt" not in table
    rows = empty_home.lake.read(empty_home.record("book/extracted", "d1").as_input()).collect()
    assert sorted(rows["text"]) == [f"{TEXT} B", f"{TEXT} C, corrected", f"{TEXT} D"]
    counts = empty_home.record("book/extracted", "d1").record.counts
    assert counts["text_bytes"] == sum(len(text.encode()) for text in rows["text"])


def test_a_manifest_alone_that_changed_changes_no_file(empty_home: Any) -> None:
    landing = empty_home.path / "landing"
    deliver(landing, {"a.txt": TEXT})
    empty_home.take_landed()
    empty_home.bring_up("book/extracted")
    deliver(landing, {"a.txt": TEXT}, licence=Licence(id="CC0-1.0", allows=(Use.RESEARCH,)))
    empty_home.bring_up("book/extracted")
    assert shown(empty_home, "raw") == {"files_added": 0, "files_removed": 0, "files_changed": 0}
    assert empty_home.record("book/raw", "d1").record.licences[0].licence == "CC0-1.0"


def test_a_date_that_lies_ahead_is_taken_and_told(empty_home: Any) -> None:
    deliver(empty_home.path / "landing", {"a.txt": TEXT}, received="2999-01-01")
    assert empty_home.take_landed() == {"book/d1": ""}
    empty_home.bring_up("book/raw")
    [line] = (empty_home.path / "alerts.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["case"] == "date book/d1"
    assert "2999-01-01, which lies ahead" in json.loads(line)["message"]


names = st.text("abc", min_size=1, max_size=2)


@given(st.dictionaries(names, st.integers(0, 2)), st.dictionaries(names, st.integers(0, 2)))
@pytest.mark.filterwarnings("ignore")
def test_what_is_compared_is_added_removed_changed_or_the_same(
    before: dict[str, int], after: dict[str, int]
) -> None:
    frames = [
        pl.DataFrame({"name": list(rows), "value": list(rows.values())}, schema={"name": pl.String, "value": pl.Int64})
        for rows in (before, after)
    ]  # fmt: skip
    expected = {
        name: "added" if name not in before else "removed" if name not in after else "changed"
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }
    found = compared(frames[0].lazy(), frames[1].lazy(), "name", ["value"])
    assert dict(found.iter_rows()) == expected
    assert found["name"].is_sorted()

"""The vacuum: what stands behind something newest or frozen stays, what is recent waits, the rest goes and is accounted for."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.audit.closure import closure, verify
from phoenix_assets.ingest.erasure import TOMBSTONE
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.mix.config import load_mixture
from phoenix_assets.tag.stages import TAGGED
from resources.build import Build
from resources.erasures import order
from resources.frozen import freeze, frozen_path, require_sound
from resources.garbage import GarbagePlan, Why, carry_out, plan
from resources.lake import FILES, Lake
from resources.ledger import LineageLedger
from resources.storage_budget import StorageBudget, StorageConfig

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> LineageLedger:
    return LineageLedger(Lake(tmp_path))


def put(ledger: LineageLedger, asset: str, text: str, *, delivery: str = "a", inputs=()) -> StoredRecord:
    build = Build(ledger.lake, ledger, asset, delivery, "1", {}, "run", tuple(inputs))
    source = asset.partition("/")[0]
    row = {"doc_id": f"{len(text):032x}", "source": source, "delivery": delivery, "text": text, "lang": "zh"}
    return build.commit_frame(pl.DataFrame([row], schema=TAGGED))


def put_files(
    ledger: LineageLedger,
    asset: str,
    content: dict[str, str],
    inputs=(),
    inherited: pl.DataFrame | None = None,
) -> StoredRecord:
    """Commit an unpartitioned asset with binary files beside it, some of them taken over from the version before."""
    build = Build(ledger.lake, ledger, asset, "", "1", {}, "run", tuple(inputs), partitioned_by=None)
    with ledger.lake.scratch() as folder:
        for name, text in content.items():
            (Path(folder) / name).write_text(text, "utf-8")
        files = ledger.lake.store_files(build.side_asset(SideTable.FILES), Path(folder))
    files = files if inherited is None else pl.concat([inherited, files])
    side = build.commit_side(SideTable.FILES, FILES, [build.stage_side(SideTable.FILES, files)])
    rows = pl.DataFrame({"decision": list(content)})
    return build.commit(
        rows.schema, [build.stage(rows)], counts={"rows_out": 1}, side_tables={SideTable.FILES: side}
    )


def planned(ledger: LineageLedger, hours: float = 0) -> GarbagePlan:
    return plan(ledger.lake, LineageLedger(ledger.lake), keep_hours=hours)


def collect(ledger: LineageLedger) -> GarbagePlan:
    found = planned(ledger)
    budget = StorageBudget(ledger.lake.home, StorageConfig(trash_days=7, keep_free_bytes=0))
    carry_out(ledger.lake, found, budget, NOW)
    return found


def reasons(found: GarbagePlan) -> dict[str, Why]:
    return {one.place: one.why for one in found.doomed}


def sound(ledger: LineageLedger, stored: StoredRecord) -> bool:
    fresh = LineageLedger(ledger.lake)
    return verify(ledger.lake, closure(fresh, stored)).passed


def test_a_version_that_was_replaced_goes_and_the_newest_stays(ledger) -> None:
    put(ledger, "cc/tagged", "天下大势")
    newest = put(ledger, "cc/tagged", "分久必合")
    found = collect(ledger)
    assert reasons(found) == {"lake/cc/tagged": Why.SUPERSEDED}
    assert sound(ledger, newest)
    assert planned(ledger).doomed == ()


def test_planning_deletes_nothing(ledger) -> None:
    put(ledger, "cc/tagged", "天下大势")
    put(ledger, "cc/tagged", "分久必合")
    before = sorted(ledger.lake.root.rglob("*"))
    assert planned(ledger).bytes > 0
    assert sorted(ledger.lake.root.rglob("*")) == before


def test_what_was_replaced_a_short_while_ago_waits(ledger) -> None:
    put(ledger, "cc/tagged", "天下大势")
    put(ledger, "cc/tagged", "分久必合")
    found = planned(ledger, hours=1)
    assert found.doomed == () and found.recent_bytes > 0


def test_what_something_newest_was_made_from_stays(ledger) -> None:
    old = put(ledger, "cc/filtered", "天下大势")
    model = put_files(ledger, "models/quality", {"quality.bin": "x"}, [old.as_input()])
    put(ledger, "cc/filtered", "分久必合")
    found = collect(ledger)
    assert found.doomed == () and set(found.pinned) == {"cc/filtered"}
    assert sound(ledger, model)


def test_an_index_does_not_keep_its_earlier_versions_nor_what_only_they_read(ledger) -> None:
    prints = put(ledger, "cc/signatures", "天下大势")
    first = put_files(ledger, "dedup/g/near", {"kept.npy": "1", "merged.npy": "2"}, [prints.as_input()])
    kept = ledger.lake.read(first.record.side_tables[SideTable.FILES]).filter(path="kept.npy").collect()
    prints = put(ledger, "cc/signatures", "分久必合")
    second = put_files(
        ledger, "dedup/g/near", {"new.npy": "3"}, [prints.as_input(), first.as_input()], inherited=kept
    )
    found = collect(ledger)
    names = {path.name for one in found.doomed for path in one.files}
    assert "merged.npy" in names and not {"kept.npy", "new.npy"} & names
    assert "lake/cc/signatures" in reasons(found)
    checked = verify(ledger.lake, closure(LineageLedger(ledger.lake), second))
    assert checked.passed and any("cc/signatures" in label for label in checked.deleted)


def test_what_is_missing_though_something_needs_it_is_a_problem_as_before(ledger) -> None:
    old = put(ledger, "cc/filtered", "天下大势")
    model = put_files(ledger, "models/quality", {"quality.bin": "x"}, [old.as_input()])
    ledger.lake.shards(old.as_input())[0].path.unlink()
    assert not sound(ledger, model)


def test_files_of_a_build_that_was_overtaken_are_orphans(ledger) -> None:
    put_files(ledger, "dedup/g/near", {"a.npy": "1"})
    folder = ledger.lake.table_dir("files/dedup/g/near") / "_files" / "lost"
    folder.mkdir()
    (folder / "b.npy").write_text("2", "utf-8")
    found = collect(ledger)
    assert reasons(found) == {"lake/files/dedup/g/near": Why.ORPHANED}
    assert not folder.exists()


def test_a_frozen_mixture_keeps_its_pins_until_it_is_thawed(ledger) -> None:
    put(ledger, "cc/tagged", "天下大势")
    freeze(ledger, load_mixture("v1.1"))
    put(ledger, "cc/tagged", "分久必合")
    assert collect(ledger).doomed == ()
    require_sound(LineageLedger(ledger.lake), "v1.1")
    frozen_path(ledger.lake, "v1.1").unlink()
    assert reasons(collect(ledger)) == {"lake/cc/tagged": Why.SUPERSEDED}


def erase(ledger: LineageLedger, doc_id: str, delivery: str = "a") -> None:
    row = {
        "erasure": "e", "source": "cc", "delivery": delivery, "doc_id": doc_id, "reason": "a person asked",
        "ordered_by": "x", "at": "2026-11-25T12:00:00", "salt": 1,
    }  # fmt: skip
    order(ledger, pl.DataFrame([row], schema=TOMBSTONE), "")


def test_an_erased_text_goes_whatever_pins_it_and_leaves_a_mark(ledger) -> None:
    old = put(ledger, "cc/tagged", "天下大势")
    freeze(ledger, load_mixture("v1.1"))
    model = put_files(ledger, "models/quality", {"quality.bin": "x"}, [old.as_input()])
    erase(ledger, f"{4:032x}")
    assert planned(ledger).unfinished == ("cc/tagged[a]",)
    put(ledger, "cc/tagged", "分久必合天")
    (path,) = [shard.path for shard in ledger.lake.shards(old.as_input())]
    found = collect(ledger)
    assert reasons(found)["lake/cc/tagged"] is Why.ERASED and found.unfinished == ()
    assert not path.exists()
    assert json.loads(path.with_name(path.name + ".erased").read_text("utf-8"))["file"] == path.name
    checked = verify(ledger.lake, closure(LineageLedger(ledger.lake), model))
    assert checked.passed and checked.deleted == ("cc/tagged[a]",)
    assert planned(ledger).doomed == ()


def test_landed_files_go_once_the_lake_is_without_the_text_and_corrected_ones_stay(ledger) -> None:
    folder = ledger.lake.home / "landing/cc/a"
    folder.mkdir(parents=True)
    (folder / "f").write_text("天下大势", "utf-8")
    put(ledger, "cc/raw", "1")
    put(ledger, "cc/extracted", "天下大势")
    erase(ledger, f"{4:032x}")
    assert "landing/cc/a" not in reasons(planned(ledger))
    put(ledger, "cc/extracted", "分久必合天")
    assert reasons(planned(ledger))["landing/cc/a"] is Why.DELIVERED
    put(ledger, "cc/raw", "22")  # delivered again
    assert "landing/cc/a" not in reasons(planned(ledger))


def test_checkpoints_of_finished_jobs_that_no_run_names_go(ledger) -> None:
    for name in ("demo-1", "proxy-1", "at-work"):
        folder = ledger.lake.home / "jobs" / name / "checkpoints" / "step-1"
        folder.mkdir(parents=True)
        (folder / "model").write_text("weights", "utf-8")
    for name in ("demo-1", "proxy-1"):
        (ledger.lake.home / "jobs" / name / "exit.json").write_text("{}", "utf-8")
    build = Build(ledger.lake, ledger, "train/demo", "", "1", {}, "run", (), partitioned_by=None)
    build.commit_frame(pl.DataFrame({"job_key": ["demo-1"]}))
    found = collect(ledger)
    assert reasons(found) == {"jobs/proxy-1": Why.PROXY} and found.bytes == len("weights")
    assert (ledger.lake.home / "jobs/proxy-1/exit.json").exists()
    assert not (ledger.lake.home / "jobs/proxy-1/checkpoints").exists()


def test_a_file_with_another_name_elsewhere_brings_no_space(ledger) -> None:
    old = put(ledger, "cc/tagged", "天下大势")
    (path,) = [shard.path for shard in ledger.lake.shards(old.as_input())]
    os.link(path, ledger.lake.home / "elsewhere")
    put(ledger, "cc/tagged", "分久必合")
    found = planned(ledger)
    assert len(found.doomed[0].files) == 1 and found.bytes == 0


def test_what_is_deleted_waits_in_the_trash_and_is_counted_there(ledger) -> None:
    put(ledger, "cc/tagged", "天下大势")
    put(ledger, "cc/tagged", "分久必合")
    found = collect(ledger)
    settings = StorageConfig(capacity_bytes=10**9, trash_days=7, keep_free_bytes=0)
    waiting = StorageBudget(ledger.lake.home, settings).room(NOW).waiting
    assert [count for _, count in waiting] == [found.bytes]


def test_temporary_files_of_killed_runs_go(ledger) -> None:
    put(ledger, "cc/tagged", "天下大势")
    left = ledger.lake.home / "scratch" / "tmp1"
    left.mkdir(parents=True)
    (left / "part").write_text("x", "utf-8")
    assert reasons(collect(ledger)) == {"scratch": Why.LEFT}
    assert not left.exists()


def test_a_lake_in_another_folder_is_collected_alike(ledger, tmp_path) -> None:
    put(ledger, "cc/tagged", "天下大势")
    put(ledger, "cc/tagged", "分久必合")
    moved = tmp_path / "moved"
    shutil.move(str(ledger.lake.root), str(moved / "lake"))
    found = planned(LineageLedger(Lake(moved)))
    assert reasons(found) == {"lake/cc/tagged": Why.SUPERSEDED}


def test_what_was_made_from_a_table_that_is_gone_needs_nothing_of_it(ledger) -> None:
    old = put(ledger, "cc/filtered", "天下大势")
    put(ledger, "cc/tagged", "天下大势", inputs=[old.as_input()])
    shutil.rmtree(ledger.lake.table_dir("cc/filtered"))
    assert planned(ledger).doomed == ()

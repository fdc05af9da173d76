"""The lineage ledger: an index that heals, because the records live in the tables' own commits."""

import multiprocessing
import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest

from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import InputVersion, LicenceTerms, StoredRecord
from resources.build import Build
from resources.lake import Lake
from resources.ledger import LineageLedger

TERMS = LicenceTerms(source="cc", delivery="d1", licence="CC-BY-4.0", allows=("pretraining",))


@pytest.fixture
def ledger(tmp_path: Path) -> LineageLedger:
    return LineageLedger(Lake(tmp_path))


def build(
    ledger: LineageLedger, asset: str, partition: str = "", *inputs: InputVersion, run: str = "r"
) -> Build:
    return Build(
        lake=ledger.lake,
        ledger=ledger,
        asset=asset,
        partition=partition,
        code_version="k.1+cfg=0",
        config={"threshold": 0.5},
        run_id=run,
        inputs=inputs,
        partitioned_by="delivery" if partition else None,
    )


def commit(
    ledger: LineageLedger, asset: str, partition: str, values: list[int], *inputs: InputVersion
) -> StoredRecord:
    frame = pl.DataFrame({"value": values})
    if partition:
        frame = frame.with_columns(delivery=pl.lit(partition))
    return build(ledger, asset, partition, *inputs).commit_frame(frame)


def contents(ledger: LineageLedger) -> dict[str, list[tuple[object, ...]]]:
    with ledger.connect() as connection:
        return {
            table: sorted(connection.table(table).fetchall(), key=str)
            for table in ("records", "inputs", "tables")
        }


def filled(ledger: LineageLedger) -> LineageLedger:
    first = commit(ledger, "cc/raw", "d1", [1, 2])
    commit(ledger, "cc/raw", "d2", [3])
    commit(ledger, "cc/extracted", "d1", [1], first.as_input())
    commit(ledger, "cc/raw", "d1", [1, 2, 3])
    commit(ledger, "leaderboard", "", [9])
    return ledger


def test_the_newest_record_of_each_partition_is_its_head(ledger: LineageLedger) -> None:
    filled(ledger)
    heads = ledger.heads("cc/raw")
    assert {name: stored.record.counts["rows_out"] for name, stored in heads.items()} == {"d1": 3, "d2": 1}
    assert ledger.head("leaderboard").record.counts["rows_out"] == 1
    assert ledger.head("cc/raw", "d3") is None
    assert ledger.all_heads() == {
        asset: ledger.heads(asset) for asset in ("cc/raw", "cc/extracted", "leaderboard")
    }


def test_rebuilding_gives_what_indexing_commit_by_commit_gave(ledger: LineageLedger) -> None:
    for asset in ("cc/raw", "cc/extracted", "leaderboard"):
        commit(ledger, asset, "" if asset == "leaderboard" else "d1", [1])
        ledger.refresh()
    filled(ledger)
    ledger.refresh()
    step_by_step = contents(ledger)
    assert ledger.rebuild() == len(step_by_step["records"])
    assert contents(ledger) == step_by_step


def test_a_ledger_whose_file_is_gone_heals_at_the_next_read(ledger: LineageLedger) -> None:
    filled(ledger)
    before = ledger.heads("cc/raw")
    ledger.path.unlink()
    assert ledger.heads("cc/raw") == before


def test_a_commit_that_was_never_indexed_is_found_at_the_next_read(ledger: LineageLedger) -> None:
    filled(ledger)
    ledger.refresh()
    shutil.copy(ledger.path, ledger.path.with_name("before"))
    newest = commit(ledger, "cc/raw", "d2", [7, 8])
    shutil.copy(ledger.path.with_name("before"), ledger.path)  # as if the process had died after its commit
    assert ledger.head("cc/raw", "d2") == newest


def test_refreshing_twice_finds_nothing_new(ledger: LineageLedger) -> None:
    filled(ledger)
    ledger.refresh()
    assert ledger.refresh() == 0


def test_a_table_that_was_replaced_is_indexed_anew(ledger: LineageLedger) -> None:
    filled(ledger)
    ledger.refresh()
    shutil.rmtree(ledger.lake.table_dir("cc/raw"))
    replaced = commit(ledger, "cc/raw", "d9", [1])
    assert ledger.heads("cc/raw") == {"d9": replaced}
    with ledger.connect() as connection:
        left = connection.execute("select count(*) from records where asset = 'cc/raw'").fetchone()
    assert left == (1,)


def test_a_table_that_was_replaced_by_one_with_as_many_commits_is_indexed_anew(ledger: LineageLedger) -> None:
    commit(ledger, "cc/raw", "d1", [1])
    ledger.refresh()
    shutil.rmtree(ledger.lake.table_dir("cc/raw"))
    replaced = commit(ledger, "cc/raw", "d9", [1])
    assert ledger.heads("cc/raw") == {"d9": replaced}


def test_a_table_that_was_removed_has_no_heads(ledger: LineageLedger) -> None:
    filled(ledger)
    ledger.refresh()
    shutil.rmtree(ledger.lake.table_dir("cc/raw"))
    assert ledger.heads("cc/raw") == {}
    assert "cc/raw" not in ledger.all_heads()


def test_an_input_leads_to_the_record_that_wrote_what_it_names(ledger: LineageLedger) -> None:
    first = commit(ledger, "cc/raw", "d1", [1])
    commit(ledger, "cc/raw", "d2", [2])
    again = commit(ledger, "cc/raw", "d1", [1])  # same content, later in the table's history
    other = commit(ledger, "cc/raw", "d1", [5])
    assert ledger.record_of(first.as_input()) == first
    assert ledger.record_of(first.as_input(snapshot=again.storage_version)) == again
    assert ledger.records_of([other.as_input(), first.as_input()]) == [other, first]


def test_an_input_that_the_lake_does_not_know_is_an_error_that_names_it(ledger: LineageLedger) -> None:
    stored = commit(ledger, "cc/raw", "d1", [1])
    unknown = stored.as_input().model_copy(update={"data_version": "f" * 40})
    with pytest.raises(LineageError, match=r"cc/raw\[d1\]: the lake has no record of data version f+"):
        ledger.record_of(unknown)
    with pytest.raises(LineageError, match=r"cc/raw\[d7\] has not been materialised; materialise it first"):
        ledger.resolve("cc/raw", "d7")


def test_licences_are_inherited_from_every_input(ledger: LineageLedger) -> None:
    frame = pl.DataFrame({"value": [1], "delivery": ["d1"]})
    raw = build(ledger, "cc/raw", "d1")
    stored = raw.commit(frame.schema, [raw.stage(frame)], counts={"rows_out": 1}, licences=(TERMS,))
    extracted = commit(ledger, "cc/extracted", "d1", [1], stored.as_input())
    mixed = commit(ledger, "mix/v3", "", [1], extracted.as_input())
    assert mixed.record.licences == (TERMS,)


def test_lost_rows_are_refused_before_anything_is_committed(ledger: LineageLedger) -> None:
    frame = pl.DataFrame({"value": [1], "delivery": ["d1"]})
    work = build(ledger, "cc/filtered", "d1")
    with pytest.raises(ValueError, match=r"cc/filtered\[d1\]: 3 rows in, but 1 kept and 1 dropped"):
        work.commit(
            frame.schema,
            [work.stage(frame)],
            counts={"rows_in": 3, "rows_out": 1, "rows_dropped": 1},
        )
    assert ledger.heads("cc/filtered") == {}


def read_heads(home: Path, times: int) -> None:
    for _ in range(times):
        assert LineageLedger(Lake(home)).heads("cc/raw")


def test_processes_read_and_index_side_by_side(ledger: LineageLedger) -> None:
    filled(ledger)
    spawn = multiprocessing.get_context("spawn")
    readers = [spawn.Process(target=read_heads, args=(ledger.lake.home, 5)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for value in range(3):
        commit(ledger, "cc/raw", "d1", [value])
    for reader in readers:
        reader.join(60)
    assert [reader.exitcode for reader in readers] == [0, 0, 0]
    assert ledger.head("cc/raw", "d1").record.counts["rows_out"] == 1


def test_people_can_query_the_ledger_with_sql(ledger: LineageLedger) -> None:
    filled(ledger)
    ledger.refresh()
    with duckdb.connect(str(ledger.path), read_only=True) as connection:
        row = connection.execute(
            "select i.asset, i.partition from inputs i join heads h using (record_id) "
            "where h.asset = 'cc/extracted'"
        ).fetchone()
    assert row == ("cc/raw", "d1")

"""Closure and verification: everything behind a record is found, and a byte that changed is noticed."""

from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.audit.closure import closure, verify
from phoenix_assets.lineage import SideTable


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    return home_at(small_corpus)


def behind(home, asset: str):
    return closure(home.ledger, home.record(asset))


def rewrite(path: Path, content: bytes) -> None:
    """Replace a file that may be shared with another home by hard link."""
    path.unlink()
    path.write_bytes(content)


def test_everything_down_to_the_raw_deliveries_stands_behind_the_tokens_once(home) -> None:
    records = behind(home, "tokens/v3")
    places = [(stored.record.asset, stored.record.partition) for stored in records]
    assert len(places) == len(set(places))
    assert set(places) == set(home.heads())
    assert places[-1] == ("tokens/v3", "")


def test_inputs_stand_before_what_was_made_of_them(home) -> None:
    seen: set[str] = set()
    for stored in behind(home, "tokens/v3"):
        for source in stored.record.inputs:
            assert f"{source.asset}[{source.partition}]" in seen
        seen.add(f"{stored.record.asset}[{stored.record.partition}]")


def test_an_untouched_lake_verifies(home) -> None:
    records = behind(home, "tokens/v3")
    found = verify(home.lake, records)
    assert found.problems == () and found.passed
    assert found.partitions == len(records)
    assert found.files >= 6  # models, tokenizer, shards
    assert found.rows > sum(stored.record.counts["rows_out"] for stored in records)  # ledgers too


def test_a_changed_row_is_noticed_and_named(corpus) -> None:
    stored = corpus.record("wiki/filtered", "enwiki-20160501")
    shard = corpus.lake.shards(stored.as_input())[0]
    frame = pl.read_parquet(shard.path, hive_partitioning=False)
    changed = frame.with_columns(
        text=pl.col("text") + pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("!")).otherwise(pl.lit(""))
    )
    shard.path.unlink()
    changed.write_parquet(shard.path)
    found = verify(corpus.lake, [stored])
    assert not found.passed
    assert found.problems[0].startswith("wiki/filtered[enwiki-20160501]: rows hash to ")


def test_a_changed_byte_of_a_stored_file_is_noticed_and_named(corpus) -> None:
    stored = corpus.record("tokens/v3")
    files = stored.record.side_tables[SideTable.FILES]
    rows = corpus.lake.read(files).filter(pl.col("path").str.ends_with(".bin")).collect()
    path, stored_at = rows.select("path", "stored_at").row(0)
    place = corpus.lake.table_dir(files.asset) / stored_at
    content = bytearray(place.read_bytes())
    content[0] ^= 1
    rewrite(place, bytes(content))
    assert verify(corpus.lake, [stored]).problems == (
        f"tokens/v3 files: file {path} differs from its checksum",
    )
    place.unlink()
    assert verify(corpus.lake, [stored]).problems == (f"tokens/v3 files: file {path} is gone",)


def test_a_drop_reason_that_was_changed_afterwards_is_noticed(corpus) -> None:
    stored = corpus.record("cc/filtered", "CC-MAIN-2024-22-000")
    table = stored.record.side_tables[SideTable.LEDGER]
    shard = corpus.lake.shards(table)[0]
    frame = pl.read_parquet(shard.path, hive_partitioning=False)
    shard.path.unlink()
    frame.with_columns(drop_reason=pl.lit("success")).write_parquet(shard.path)
    (problem,) = verify(corpus.lake, [stored]).problems
    assert problem.startswith("cc/filtered[CC-MAIN-2024-22-000] ledger: rows hash to ")


def test_a_lost_parquet_file_is_a_problem_and_not_a_crash(corpus) -> None:
    stored = corpus.record("qa/tagged", "debian-faq-2024-06")
    corpus.lake.shards(stored.as_input())[0].path.unlink()
    found = verify(corpus.lake, [stored])
    assert not found.passed
    assert found.problems[0].startswith("qa/tagged[debian-faq-2024-06]: ")

"""The document index: what is in the lake is found, after any order of additions, and damage heals."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.build import Build
from resources.document_index import DocumentIndex, KeyRuns, keys_of

KEYS = st.lists(st.lists(st.integers(0, 50), max_size=30), max_size=8)


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    return home_at(small_corpus)


def extracted(home) -> dict[tuple[str, str], pl.DataFrame]:
    return {
        place: home.lake.read(stored.as_input()).select("doc_id", "url").collect()
        for place, stored in home.heads().items()
        if place[0].endswith("/extracted")
    }


@settings(max_examples=40, deadline=None)  # each one writes files
@given(additions=KEYS)
def test_keys_are_found_with_every_value_however_they_were_added(additions, tmp_path_factory) -> None:
    runs = KeyRuns(tmp_path_factory.mktemp("runs"))
    for value, keys in enumerate(additions):
        runs.add(np.array(keys, np.uint64), np.full(len(keys), value, np.uint32))
    for key in range(51):
        assert runs.find(key) == [value for value, keys in enumerate(additions) if key in keys]


def test_runs_stay_few_and_leave_no_file_behind(tmp_path) -> None:
    runs = KeyRuns(tmp_path)
    for value in range(100):
        runs.add(np.arange(10, dtype=np.uint64), np.full(10, value, np.uint32))
    assert len(list(tmp_path.glob("*.keys.npy"))) <= 8
    assert runs.find(3) == list(range(100))


def test_a_key_is_the_beginning_of_the_id() -> None:
    ids = pl.Series(["0123456789abcdef" + "0" * 16, "ffffffffffffffff" + "1" * 16])
    assert keys_of(ids).tolist() == [0x0123456789ABCDEF, 0xFFFFFFFFFFFFFFFF]


def test_every_document_is_found_in_its_delivery_and_none_elsewhere(home) -> None:
    index = DocumentIndex(home.lake, home.ledger)
    for (asset, delivery), rows in extracted(home).items():
        for doc_id in rows["doc_id"].sort()[:3]:
            assert [(one.asset, one.partition) for one in index.deliveries_of(doc_id)] == [(asset, delivery)]
    assert index.deliveries_of("0" * 32) == []


def test_every_address_is_found_in_all_deliveries_that_have_it(home) -> None:
    index = DocumentIndex(home.lake, home.ledger)
    pages = pl.concat(
        rows.with_columns(delivery=pl.lit(delivery))
        for (asset, delivery), rows in extracted(home).items()
        if asset == "cc/extracted"
    )
    by_hand = pages.drop_nulls("url").group_by("url").agg(pl.col("delivery").unique()).sort("url")
    for url, deliveries in by_hand.head(20).iter_rows():
        assert set(deliveries) <= {one.partition for one in index.deliveries_with(url)}


def test_what_comes_later_is_found_without_indexing_the_rest_again(corpus) -> None:
    index = DocumentIndex(corpus.lake, corpus.ledger)
    stored = corpus.record("qa/extracted", "debian-faq-2024-06")
    rows = corpus.lake.read(stored.as_input()).collect()
    assert len(index.deliveries_of(rows["doc_id"][0])) == 1
    before = sorted(path.name for path in (index.folder / "ids").glob("*.npy"))
    build = Build(corpus.lake, corpus.ledger, "qa/extracted", "later", "1", {}, "", ())
    later = rows.head(1).with_columns(doc_id=pl.lit("f" * 32), delivery=pl.lit("later"))
    side = build.commit_side(*ledger_of(build, later))
    build.commit(
        rows.schema,
        [build.stage(later)],
        counts={"rows_out": 1},
        side_tables={ledger_of(build, later)[0]: side},
    )
    assert [one.partition for one in index.deliveries_of("f" * 32)] == ["later"]
    assert set(before) < {path.name for path in (index.folder / "ids").glob("*.npy")}


def ledger_of(build: Build, documents: pl.DataFrame) -> tuple:
    from phoenix_assets.lineage import SideTable
    from phoenix_assets.schema import LEDGER, ledger_rows

    return SideTable.LEDGER, LEDGER, [build.stage_side(SideTable.LEDGER, ledger_rows(documents, "extracted"))]


@pytest.mark.parametrize("damage", ["cut", "gone", "state"])
def test_a_damaged_index_is_made_again(corpus, damage: str) -> None:
    index = DocumentIndex(corpus.lake, corpus.ledger)
    doc_id = corpus.lake.read(corpus.record("wiki/extracted", "enwiki-20160501").as_input()).collect()[
        "doc_id"
    ][0]
    found = index.deliveries_of(doc_id)
    run = next((index.folder / "ids").glob("*.keys.npy"))
    if damage == "cut":
        run.write_bytes(run.read_bytes()[:200])
    elif damage == "gone":
        run.unlink()
    else:
        (index.folder / "deliveries.json").write_text("{", "utf-8")
    assert index.deliveries_of(doc_id) == found


def test_what_is_forgotten_is_found_again(corpus) -> None:
    index = DocumentIndex(corpus.lake, corpus.ledger)
    doc_id = corpus.lake.read(corpus.record("wiki/extracted", "enwiki-20160501").as_input()).collect()[
        "doc_id"
    ][0]
    found = index.deliveries_of(doc_id)
    index.forget()
    assert not index.folder.exists() and index.deliveries_of(doc_id) == found

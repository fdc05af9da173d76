"""The ledger file deleted, the home moved: the lake alone says everything, wherever it lies."""

import shutil
from pathlib import Path

import pytest

from phoenix_assets.audit.closure import closure, verify
from resources.lake import Lake
from resources.ledger import LineageLedger


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    return home_at(small_corpus)


def rows(ledger: LineageLedger) -> dict[str, list]:
    with ledger.connect() as connection:
        return {
            table: connection.table(table).order("all").fetchall()
            for table in ("records", "inputs", "tables")
        }


def test_a_deleted_ledger_is_there_again_at_the_next_read_and_identical(corpus) -> None:
    corpus.ledger.refresh()
    before = rows(corpus.ledger)
    corpus.ledger.path.unlink()
    ledger = LineageLedger(corpus.lake)
    assert ledger.all_heads() == corpus.ledger.all_heads()
    assert rows(ledger) == before


def test_a_moved_home_verifies_and_has_nothing_to_do(corpus, tmp_path: Path, home_at, monkeypatch) -> None:
    corpus.close()
    moved = home_at(Path(shutil.move(corpus.path, tmp_path / "elsewhere"))).use(monkeypatch)
    try:
        assert moved.stale() == {}
        records = closure(moved.ledger, moved.record("tokens/v3"))
        assert verify(moved.lake, records).passed
        text = "".join(path.read_text("utf-8") for path in moved.lake.root.rglob("_delta_log/*.json"))
        assert str(corpus.path) not in text
    finally:
        moved.close()


def test_no_record_names_a_place_outside_the_lake(home) -> None:
    lake = Lake(home.path)
    named = {str(home.path), str(home.path.resolve())}
    for asset in lake.assets():
        for stored in lake.records(asset):
            assert not [path for path in named if path in stored.model_dump_json()], asset

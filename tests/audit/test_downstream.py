"""What stands on a delivery and on a file: counted in the data by other means, and all that was made with it."""

import polars as pl
import pytest

from phoenix_assets.audit.closure import closure, standing_on
from phoenix_assets.audit.downstream import audit_delivery, audit_file
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable

CC = "CC-MAIN-2024-22-000"


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    return home_at(small_corpus)


def test_what_stands_on_a_record_is_exactly_what_has_it_behind_itself(home) -> None:
    raw = home.record("cc/raw", CC)
    on_it = {(one.record.asset, one.record.partition) for one in standing_on(home.ledger, raw)}
    by_hand = {
        place
        for place, stored in home.heads().items()
        if stored != raw and any(one.record == raw.record for one in closure(home.ledger, stored))
    }
    assert on_it == by_hand
    assert ("tokens/v3", "") in on_it and ("wiki/raw", "enwiki-20160501") not in on_it


def test_a_deliverys_partitions_and_mixtures_are_counted_in_the_data(home) -> None:
    found = audit_delivery(home.lake, home.ledger, f"cc/{CC}", verified=False)
    for row in found["stages"]:
        stored = home.record(row["asset"], CC)
        assert row["documents"] == home.lake.read(stored.as_input()).select(pl.len()).collect().item()
        assert row["dropped"] == stored.record.reasons
    chosen = home.lake.read(home.record("mix/v3").as_input()).filter(delivery=CC).collect()
    assert sum(row["documents"] for row in found["mixtures"]) == chosen.height
    assert {row["split"] for row in found["mixtures"]} == set(chosen["split"])
    made = {row["asset"]: row["partitions"] for row in found["made_with_it"]}
    assert made["dedup/general/near"] == 1 and made["wiki/deduped"] == 1 and "cc/tagged" in made
    assert found["training"] == []


def test_the_files_of_a_delivery_hold_its_documents_between_them(home) -> None:
    name = next(
        f"{asset.removesuffix('/raw')}/{delivery}"
        for (asset, delivery), stored in sorted(home.heads().items())
        if asset.endswith("/raw") and 2 <= stored.record.counts["rows_out"] <= 5
    )
    delivery = audit_delivery(home.lake, home.ledger, name, verified=False)
    files = [
        audit_file(home.lake, home.ledger, f"{name}/{file['file']}", verified=False)
        for file in delivery["delivery"]["files"]
    ]
    assert len(files) > 1
    for place, row in enumerate(delivery["stages"]):
        assert sum(file["stages"][place]["documents"] for file in files) == row["documents"]
    assert sum(row["documents"] for file in files for row in file["mixtures"]) == sum(
        row["documents"] for row in delivery["mixtures"]
    )


def test_a_delivery_or_file_that_is_not_there_is_an_error_that_lists_those_there_are(home) -> None:
    with pytest.raises(LineageError, match=rf"no delivery cc/other; there are: cc/{CC}"):
        audit_delivery(home.lake, home.ledger, "cc/other")
    with pytest.raises(LineageError, match=r"no delivery nobody/x; there are: none of this source"):
        audit_delivery(home.lake, home.ledger, "nobody/x")
    with pytest.raises(LineageError, match=rf"cc/{CC} has no file 'x.warc'; it has: {CC}"):
        audit_file(home.lake, home.ledger, f"cc/{CC}/x.warc")


def test_ledgers_lie_in_the_order_of_their_ids_so_that_one_row_group_answers(home) -> None:
    for (asset, _), stored in home.heads().items():
        table = stored.record.side_tables.get(SideTable.LEDGER)
        if table is None or asset.endswith("/raw"):
            continue
        for shard in home.lake.shards(table):
            assert shard.read()["doc_id"].is_sorted(), asset

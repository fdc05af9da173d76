"""Where else a document is: what was kept of it and every copy that was dropped, through all granularities.

A document that one granularity kept can be dropped by the next one, and takes its copies along: the survivor is the
end of that chain, its twins are all from which a chain leads there.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from phoenix_assets.dedup.config import Granularity
from phoenix_assets.lineage import UNPARTITIONED, StoredRecord
from resources.indexed_documents import documents
from resources.lake import Lake
from resources.ledger import LineageLedger

_TWIN = ("doc_id", "source", "delivery", "url", "granularity", "duplicate_of", "similarity", "band")


def twins_of_document(lake: Lake, ledger: LineageLedger, doc_id: str) -> dict[str, Any] | None:
    """Return doc_id, survivor and twins as plain JSON values, None when no index has decided on the document.

    Twins are all dropped copies of the survivor, the document itself among them when it was dropped.
    """
    indexes = _indexes_with(lake, ledger, doc_id)
    if not indexes:
        return None
    survivor = doc_id
    for stored in indexes:
        behind = _rows(lake, stored, pl.col("doc_id") == survivor).drop_nulls("duplicate_of")
        survivor = behind["duplicate_of"][0] if behind.height else survivor
    found: list[dict[str, Any]] = []
    for stored in reversed(indexes):
        family = [survivor, *(twin["doc_id"] for twin in found)]
        found += _with_urls(lake, ledger, stored, pl.col("duplicate_of").is_in(family))
    [kept] = _with_urls(lake, ledger, indexes[-1], pl.col("doc_id") == survivor)
    return {
        "doc_id": doc_id,
        "survivor": {name: kept[name] for name in ("doc_id", "source", "delivery", "url")},
        "twins": sorted(found, key=lambda twin: (twin["source"], twin["delivery"], twin["doc_id"])),
    }


def _indexes_with(lake: Lake, ledger: LineageLedger, doc_id: str) -> Sequence[StoredRecord]:
    """Return the newest indexes of the group that decided on a document, in the order in which they decide."""
    heads = ledger.all_heads([asset for asset in lake.assets() if asset.startswith("dedup/")])
    for group in sorted({asset.split("/")[1] for asset in heads}):
        places = [f"dedup/{group}/{granularity}" for granularity in Granularity]
        indexes = [heads[place][UNPARTITIONED] for place in places if place in heads]
        if indexes and _rows(lake, indexes[0], pl.col("doc_id") == doc_id).height:
            return indexes
    return ()


def _rows(lake: Lake, stored: StoredRecord, wanted: pl.Expr) -> pl.DataFrame:
    return lake.read(stored.as_input()).filter(wanted).collect(engine="streaming")


def _with_urls(
    lake: Lake, ledger: LineageLedger, stored: StoredRecord, wanted: pl.Expr
) -> list[dict[str, Any]]:
    rows = _rows(lake, stored, wanted)
    urls = documents(lake, ledger, stored, rows, ("url",))
    return rows.join(urls, on="doc_id", how="left").select(_TWIN).to_dicts()

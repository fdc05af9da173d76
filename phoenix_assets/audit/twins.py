"""Where else a document is: what was kept of it and every copy that was dropped, through all granularities.

A document that one granularity kept can be dropped by the next one, and takes its copies along: the survivor is the
end of that chain, its twins are all from which a chain leads there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from phoenix_assets.audit.documents import decisions_on, locate
from phoenix_assets.dedup.config import Granularity
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import UNPARTITIONED, StoredRecord
from resources.document_index import DocumentIndex
from resources.indexed_documents import documents
from resources.lake import Lake
from resources.ledger import LineageLedger

_TWIN = ("doc_id", "source", "delivery", "url", "granularity", "duplicate_of", "similarity", "band")


def twins_of_document(
    lake: Lake, ledger: LineageLedger, doc_id: str, home: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return doc_id, survivor and twins as plain JSON values, None when no index has decided on the document.

    `home` is the document's source and delivery, where they are known. Twins are all dropped copies of the survivor, the
    document itself among them when it was dropped.
    """
    indexes = _indexes_with(lake, ledger, doc_id, home)
    if not indexes:
        return None
    survivor = doc_id
    for stored in indexes:
        behind = _decision(lake, stored, survivor, home).drop_nulls("duplicate_of")
        if behind.height:
            survivor = behind["duplicate_of"][0]
            home = _home(lake, ledger, survivor)
    found = _behind(lake, ledger, DocumentIndex(lake, ledger), indexes, survivor)
    [kept] = _with_urls(lake, ledger, indexes[-1], _decision(lake, indexes[-1], survivor, home))
    return {
        "doc_id": doc_id,
        "survivor": {name: kept[name] for name in ("doc_id", "source", "delivery", "url")},
        "twins": sorted(found, key=lambda twin: (twin["source"], twin["delivery"], twin["doc_id"])),
    }


def copies_of(
    lake: Lake, ledger: LineageLedger, index: DocumentIndex, doc_id: str, home: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the dropped copies of a document that all indexes have kept."""
    heads = ledger.all_heads(lake.assets("dedup"))
    found: list[dict[str, Any]] = []
    for group in sorted({asset.split("/")[1] for asset in heads}):
        places = [f"dedup/{group}/{granularity}" for granularity in Granularity]
        indexes = [heads[place][UNPARTITIONED] for place in places if place in heads]
        if indexes and _may_know(indexes[0], home):
            found += _behind(lake, ledger, index, indexes, doc_id)
    return sorted(found, key=lambda twin: (twin["source"], twin["delivery"], twin["doc_id"]))


def _behind(
    lake: Lake, ledger: LineageLedger, index: DocumentIndex, indexes: Sequence[StoredRecord], survivor: str
) -> list[dict[str, Any]]:
    """Return what stands behind a survivor: its copies, and those that it took along from earlier granularities."""
    found: list[dict[str, Any]] = []
    for stored in reversed(indexes):
        family = [survivor, *(twin["doc_id"] for twin in found)]
        files = {path for member in family for path in index.holding_copies(stored, member)}
        if files:
            copies = pl.scan_parquet(sorted(files), hive_partitioning=False)
            rows = copies.filter(pl.col("duplicate_of").is_in(family)).collect(engine="streaming")
            found += _with_urls(lake, ledger, stored, rows) if rows.height else []
    return found


def _indexes_with(
    lake: Lake, ledger: LineageLedger, doc_id: str, home: Mapping[str, Any] | None
) -> Sequence[StoredRecord]:
    """Return the newest indexes of the group that decided on a document, in the order in which they decide."""
    heads = ledger.all_heads(lake.assets("dedup"))
    for group in sorted({asset.split("/")[1] for asset in heads}):
        places = [f"dedup/{group}/{granularity}" for granularity in Granularity]
        indexes = [heads[place][UNPARTITIONED] for place in places if place in heads]
        if indexes and _may_know(indexes[0], home) and _decision(lake, indexes[0], doc_id, home).height:
            return indexes
    return ()


def _may_know(index: StoredRecord, home: Mapping[str, Any] | None) -> bool:
    signatures = {(one.asset, one.partition) for one in index.record.inputs}
    return home is None or (f"{home['source']}/signatures", home["delivery"]) in signatures


def _home(lake: Lake, ledger: LineageLedger, doc_id: str) -> Mapping[str, Any] | None:
    try:
        return locate(lake, ledger, doc_id).origin
    except LineageError:  # its delivery is not in the lake any more
        return None


def _decision(lake: Lake, stored: StoredRecord, doc_id: str, home: Mapping[str, Any] | None) -> pl.DataFrame:
    """Return the row of a document, from the partition of its delivery or, when that is not known, from them all."""
    rows = (
        decisions_on(lake, stored, home["source"], home["delivery"]) if home else lake.read(stored.as_input())
    )
    return rows.filter(pl.col("doc_id") == doc_id).collect(engine="streaming")


def _with_urls(
    lake: Lake, ledger: LineageLedger, stored: StoredRecord, rows: pl.DataFrame
) -> list[dict[str, Any]]:
    urls = documents(lake, ledger, stored, rows, ("url",))
    return rows.join(urls, on="doc_id", how="left").select(_TWIN).to_dicts()

"""Where something is that nobody has an id of: a page by its address, a text by what it says."""

from dataclasses import asdict
from typing import Any

import polars as pl

from phoenix_assets.audit.config import AuditConfig
from phoenix_assets.audit.document import audit_document
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import StoredRecord
from phoenix_assets.schema import QUARANTINE
from resources.document_index import DocumentIndex
from resources.lake import Lake
from resources.ledger import LineageLedger
from resources.lookalikes import lookalikes


def why_not_url(lake: Lake, ledger: LineageLedger, url: str) -> dict[str, Any]:
    """Return what became of every document from an address (however written), and what was quarantined of it."""
    index = DocumentIndex(lake, ledger)
    found: dict[str, StoredRecord] = {}
    for stored in ledger.records_of(index.deliveries_with(url)):
        rows = lake.read_commit(stored.as_input()).select("doc_id", "url").collect()
        for doc_id in rows.filter(index.same_address(rows["url"], url))["doc_id"]:
            found[doc_id] = stored
    return {
        "kind": "why_not",
        "why_not": {"url": url},
        "documents": [audit_document(lake, ledger, doc_id) for doc_id in sorted(found)],
        "lookalikes": [],
        "quarantined": _quarantined(lake, url),
        "verdict": None,
        "verification": None,
    }


def why_not_text(
    lake: Lake, ledger: LineageLedger, text: str, verdict: dict[str, Any], config: AuditConfig
) -> dict[str, Any]:
    """Return the documents that a normalised text is a copy of, exactly or nearly, and what became of each.

    `verdict` is what the funnel says of it (see `phoenix check-text`): it would not get so far when it is dropped there.
    """
    alike = lookalikes(
        lake, ledger, text, verdict["lang"], at_least=config.similar_at_least, count=config.lookalikes
    )
    return {
        "kind": "why_not",
        "why_not": {"text": text},
        "documents": [found for one in alike if (found := _fate(lake, ledger, one.doc_id))],
        "lookalikes": [asdict(one) for one in alike],
        "quarantined": [],
        "verdict": verdict,
        "verification": None,
    }


def _fate(lake: Lake, ledger: LineageLedger, doc_id: str) -> dict[str, Any] | None:
    try:
        return audit_document(lake, ledger, doc_id)
    except LineageError:  # its delivery is not in the lake any more
        return None


def _quarantined(lake: Lake, url: str) -> list[dict[str, Any]]:
    """Return the quarantined records that name an address: in their place, in the reason, or in their first bytes."""
    names = (pl.col(column).str.contains(url, literal=True) for column in ("locator", "detail"))
    names_it = pl.any_horizontal(*names, pl.col("payload").bin.contains(url.encode()))
    frames = [
        pl.scan_delta(str(lake.table_dir(asset))).filter(names_it).select(QUARANTINE.names())
        for asset in lake.assets("quarantine")
    ]
    rows = pl.concat([pl.LazyFrame(schema=QUARANTINE), *frames]).drop("payload").collect(engine="streaming")
    return rows.sort("source", "delivery", "file", "locator").to_dicts()

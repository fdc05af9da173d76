"""Our audit of a document among a hundred million ledger rows: its place from the index, then its rows alone."""

from pathlib import Path
from typing import Any

DOCUMENTS = 8


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Open the lake, index what is new in it, and choose documents of its mixture."""
    import polars as pl

    from resources.document_index import DocumentIndex
    from resources.lake import Lake
    from resources.ledger import LineageLedger

    lake = Lake(Path(params["home"]))
    ledger = LineageLedger(lake)
    chosen = lake.read_commit(ledger.resolve("mix/v3")).select("doc_id").head(100_000).collect()
    doc_ids = chosen.sort(pl.col("doc_id").hash(seed=0))["doc_id"].head(DOCUMENTS).to_list()
    DocumentIndex(lake, ledger).deliveries_of(doc_ids[0])
    state = {"lake": lake, "ledger": ledger, "doc_ids": doc_ids}
    run(state | {"doc_ids": doc_ids[:1]})  # the tokens are indexed by the first question
    return state


def run(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the audit of each document."""
    from phoenix_assets.audit.document import audit_document

    return [audit_document(state["lake"], state["ledger"], doc_id) for doc_id in state["doc_ids"]]


def report(state: dict[str, Any], result: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many documents were asked for, and in how many ledgers they are."""
    return {
        "documents": len(result),
        "ledgers": sum(len(one["stages"]) + len(one["mixtures"]) for one in result),
    }

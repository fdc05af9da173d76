"""The audit of a document: its fate stage by stage, and the training steps that saw it."""

from typing import Any

import polars as pl

from phoenix_assets.audit.checkpoint import run_behind
from phoenix_assets.audit.closure import closure
from phoenix_assets.audit.exposure import steps_that_saw
from phoenix_assets.audit.lost_passages import lost_passages
from phoenix_assets.audit.twins import twins_of_document
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import Stage
from resources.lake import Lake
from resources.ledger import LineageLedger

_STAGES = [stage.value for stage in Stage if stage is not Stage.RAW]


def audit_document(lake: Lake, ledger: LineageLedger, doc_id: str) -> dict[str, Any]:
    """Return a document's fate as plain JSON values. Raises LineageError when no ledger knows it."""
    source, stages = _stages(lake, ledger, doc_id)
    survivor = next((row["duplicate_of"] for row in stages if row["duplicate_of"]), None)
    return {
        "doc_id": doc_id,
        "source": source,
        "delivery": stages[0]["delivery"],
        **_origin(lake, ledger, source, doc_id),
        "stages": stages,
        "survivor": _origin(lake, ledger, None, survivor) | {"doc_id": survivor} if survivor else None,
        "twins": _twins(lake, ledger, doc_id),
        "lost_passages": lost_passages(lake, ledger, doc_id),
        "mixtures": _mixtures(lake, ledger, doc_id),
        "training": _training(lake, ledger, doc_id),
    }


def _stages(lake: Lake, ledger: LineageLedger, doc_id: str) -> tuple[str, list[dict[str, Any]]]:
    for source in sorted({asset.split("/")[1] for asset in lake.assets() if asset.startswith("ledger/")}):
        rows = [row for stage in _STAGES if (row := _ledger_row(lake, ledger, f"{source}/{stage}", doc_id))]
        if rows:
            return source, rows
    raise LineageError(
        f"no document {doc_id!r} in any ledger; a doc_id is 32 hex digits, from any table or sample"
    )


def _ledger_row(lake: Lake, ledger: LineageLedger, asset: str, doc_id: str) -> dict[str, Any] | None:
    for stored in ledger.heads(asset).values():
        table = stored.record.side_tables.get(SideTable.LEDGER)
        if table is None:
            continue
        found = lake.read(table).filter(pl.col("doc_id") == doc_id).collect()
        if found.height:
            row = found.row(0, named=True)
            rules = zip(row.pop("rules_name"), row.pop("rules_value"), row.pop("rules_cond"), strict=True)
            row["rules"] = [{"rule": name, "value": value, "holds": holds} for name, value, holds in rules]
            row["data_version"] = stored.record.data_version
            row["code_version"] = stored.record.code_version
            return row
    return None


def _origin(lake: Lake, ledger: LineageLedger, source: str | None, doc_id: str) -> dict[str, Any]:
    """Return where a document came from: locator, URL, title."""
    sources = (
        [source]
        if source
        else sorted(asset.split("/")[0] for asset in lake.assets() if asset.endswith("/extracted"))
    )
    for name in sources:
        for stored in ledger.heads(f"{name}/extracted").values():
            rows = lake.read(stored.as_input()).filter(pl.col("doc_id") == doc_id)
            found = rows.select("source", "delivery", "locator", "url", "title").collect()
            if found.height:
                return found.row(0, named=True)
    return {}


def _heads(lake: Lake, ledger: LineageLedger, prefix: str) -> list[StoredRecord]:
    assets = [asset for asset in lake.assets() if asset.startswith(prefix)]
    return [stored for asset in assets for _, stored in sorted(ledger.heads(asset).items())]


def _twins(lake: Lake, ledger: LineageLedger, doc_id: str) -> list[dict[str, Any]]:
    """Return the other documents that were dropped as copies of the same survivor."""
    found = twins_of_document(lake, ledger, doc_id)
    return [twin for twin in found["twins"] if twin["doc_id"] != doc_id] if found else []


def _mixtures(lake: Lake, ledger: LineageLedger, doc_id: str) -> list[dict[str, Any]]:
    found = []
    for stored in _heads(lake, ledger, "mix/"):
        table = stored.record.side_tables[SideTable.LEDGER]
        verdict = lake.read(table).filter(pl.col("doc_id") == doc_id).select("kept", "drop_reason").collect()
        chosen = lake.read(stored.as_input()).filter(pl.col("doc_id") == doc_id)
        row = chosen.select("component", "split", "copies").collect()
        if verdict.height:
            details = row.row(0, named=True) if row.height else {}
            found.append({"mixture": stored.record.asset, **verdict.row(0, named=True), **details})
    return found


def _training(lake: Lake, ledger: LineageLedger, doc_id: str) -> list[dict[str, Any]]:
    """Return, for each run, where the document's tokens stand and which steps saw them."""
    found = []
    for train in _heads(lake, ledger, "train/"):
        run = run_behind(lake, closure(ledger, train))
        copies = run.trace.find(doc_id)
        steps = int(lake.read(train.as_input()).select(pl.col("step").max()).collect().item() or 0)
        found += [
            {
                "run": train.record.asset,
                "copy": copy,
                "shard": shard,
                "token_offset": offset,
                "tokens": tokens,
                "steps": steps_that_saw(run, offset, tokens, steps),
            }
            for copy, shard, offset, tokens in copies.select("copy", "shard", "offset", "tokens").iter_rows()
        ]
    return found

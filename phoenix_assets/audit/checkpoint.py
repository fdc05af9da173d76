"""The audit of a checkpoint: every delivery, rule, threshold, code version and licence behind it, verified."""

from typing import Any

import polars as pl

from phoenix_assets.audit.closure import closure, verify
from phoenix_assets.audit.exposure import Run, tokens_seen
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import LineageRecord, SideTable, StoredRecord
from phoenix_assets.tokens.trace import TraceIndex
from resources.lake import Lake
from resources.ledger import LineageLedger
from training_jobs.data_order import open_plan
from training_jobs.errors import OrderPlanError


def audit_checkpoint(
    lake: Lake, ledger: LineageLedger, experiment: str, step: int | None = None, *, verified: bool = True
) -> dict[str, Any]:
    """Return the audit of the experiment's checkpoint at `step` (default: the newest) as plain JSON values.

    Raises LineageError when there is no such checkpoint.
    """
    checkpoint = _checkpoint(ledger, experiment, step)
    records = closure(ledger, checkpoint)
    seen = _seen(lake, records, checkpoint)
    check = verify(lake, records) if verified else None
    return {
        "checkpoint": {
            "experiment": experiment,
            "step": checkpoint.record.counts["step"],
            "tokens_seen": checkpoint.record.counts["tokens_seen"],
            "data_version": checkpoint.record.data_version,
            "storage_version": checkpoint.storage_version,
        },
        "deliveries": _deliveries(records, seen),
        "rules": _rules(records),
        "code_versions": _code_versions(records),
        "records": [_summary(stored) for stored in records],
        "verification": None
        if check is None
        else {
            "passed": check.passed,
            "partitions": check.partitions,
            "rows": check.rows,
            "files": check.files,
            "problems": list(check.problems),
        },
    }


def run_behind(lake: Lake, records: list[StoredRecord]) -> Run:
    """Return what the run among `records` trained on, and in which order.

    Raises LineageError when the records hold no run or no tokens, or the plan of the order is damaged.
    """
    tokens = _only(records, "tokens/").record.side_tables[SideTable.FILES]
    order = _only(records, "order/").as_input()
    try:
        plan, _ = open_plan(lake.files_folder(order))
    except OrderPlanError as error:
        raise LineageError(str(error)) from error
    return Run(plan, TraceIndex(lake.files_folder(tokens), "train"))


def _checkpoint(ledger: LineageLedger, experiment: str, step: int | None) -> StoredRecord:
    heads = ledger.heads(f"checkpoints/{experiment}")
    by_step = {stored.record.counts["step"]: stored for stored in heads.values()}
    if not by_step:
        raise LineageError(
            f"checkpoints/{experiment} holds nothing; train {experiment} first, or check its name"
        )
    wanted = max(by_step) if step is None else step
    if wanted not in by_step:
        there = ", ".join(str(place) for place in sorted(by_step))
        raise LineageError(f"{experiment} has no checkpoint at step {wanted}; there are: {there}")
    return by_step[wanted]


def _only(records: list[StoredRecord], prefix: str) -> StoredRecord:
    found = [stored for stored in records if stored.record.asset.startswith(prefix)]
    if len(found) != 1:
        raise LineageError(f"expected one {prefix}… behind the checkpoint, found {len(found)}")
    return found[0]


def _seen(lake: Lake, records: list[StoredRecord], checkpoint: StoredRecord) -> pl.DataFrame:
    copies = tokens_seen(run_behind(lake, records), checkpoint.record.counts["step"])
    return copies.group_by("source", "delivery").agg(
        documents_seen=pl.col("doc_id").n_unique(), tokens_seen=pl.col("tokens_seen").sum()
    )


def _deliveries(records: list[StoredRecord], seen: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one row a delivery: its licence, its documents at each stage, and what the run saw of it."""
    by_delivery = {
        (source, delivery): (documents, tokens) for source, delivery, documents, tokens in seen.iter_rows()
    }
    rows = []
    for stored in records:
        record = stored.record
        source, _, stage = record.asset.partition("/")
        if stage != "raw":
            continue
        documents, tokens = by_delivery.get((source, record.partition), (0, 0))
        rows.append(
            {
                "source": source,
                "delivery": record.partition,
                "files": record.counts["rows_out"],
                "licences": [term.model_dump(mode="json") for term in record.licences],
                "documents_at_stage": _documents_at_stage(records, source, record.partition),
                "documents_seen": documents,
                "tokens_seen": tokens,
            }
        )
    return sorted(rows, key=lambda row: (row["source"], row["delivery"]))


def _documents_at_stage(records: list[StoredRecord], source: str, delivery: str) -> dict[str, int]:
    return {
        stored.record.asset.partition("/")[2]: stored.record.counts["rows_out"]
        for stored in records
        if stored.record.asset.startswith(f"{source}/")
        and stored.record.partition == delivery
        and not stored.record.asset.endswith(("/raw", "/signatures", "/paragraphs", "/sentences"))
    }


def _rules(records: list[StoredRecord]) -> list[dict[str, Any]]:
    """Return every configuration in force behind the checkpoint, once: rule sets, thresholds, recipes, settings."""
    seen: dict[tuple[str, str], LineageRecord] = {}
    for stored in records:
        seen.setdefault((stored.record.asset, stored.record.config_digest), stored.record)
    return [
        {"asset": record.asset, "config_digest": record.config_digest, "config": record.config}
        for _, record in sorted(seen.items())
        if record.config
    ]


def _code_versions(records: list[StoredRecord]) -> dict[str, list[str]]:
    versions: dict[str, set[str]] = {}
    for stored in records:
        versions.setdefault(stored.record.asset, set()).add(stored.record.code_version)
    return {asset: sorted(found) for asset, found in sorted(versions.items())}


def _summary(stored: StoredRecord) -> dict[str, Any]:
    record = stored.record
    return {
        "asset": record.asset,
        "partition": record.partition,
        "data_version": record.data_version,
        "storage_version": stored.storage_version,
        "code_version": record.code_version,
        "counts": record.counts,
        "reasons": record.reasons,
        "inputs": [source.model_dump(mode="json") for source in record.inputs],
        "run_id": record.run_id,
        "finished": record.finished,
    }

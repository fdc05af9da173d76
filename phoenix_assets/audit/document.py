"""The audit of a document: its fate stage by stage, its twins, and the training steps that saw it."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from phoenix_assets.audit.closure import with_verification
from phoenix_assets.audit.documents import Located, is_one_of, locate, verdicts_on
from phoenix_assets.audit.exposure import steps_that_saw
from phoenix_assets.audit.lost_passages import lost_passages
from phoenix_assets.audit.runs import TrainedRun, run_behind, trained_runs
from phoenix_assets.audit.scores import scores_of
from phoenix_assets.audit.twins import copies_of, twins_of_document
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import UNPARTITIONED, SideTable, StoredRecord
from phoenix_assets.schema import Stage
from resources.document_index import DocumentIndex
from resources.lake import Lake
from resources.ledger import LineageLedger

_ROOMS: Final = ("dedup", "mix", "train", "checkpoints", "eval")


def audit_document(
    lake: Lake, ledger: LineageLedger, doc_id: str, *, verified: bool = False
) -> dict[str, Any]:
    """Return a document's fate as plain JSON values. Raises LineageError when no delivery has it."""
    index = DocumentIndex(lake, ledger)
    with ledger.connect():
        ledger.all_heads(
            [asset for room in _ROOMS for asset in lake.assets(room)]
        )  # all that is asked for below, at once
        located = locate(lake, ledger, doc_id, index)
        stages = verdicts_on(lake, ledger, located)
        survivor = next((row["duplicate_of"] for row in stages if row["duplicate_of"]), None)
        runs = list(trained_runs(lake, ledger))
        found = {
            **located.origin,
            "current": located.current,
            "licences": [term.model_dump(mode="json") for term in located.extracted.record.licences],
            "stages": stages,
            "survivor": _origin_of(lake, ledger, survivor) if survivor else None,
            "twins": _twins(
                lake,
                ledger,
                index,
                located,
                kept=any(row["stage"] == Stage.DEDUPED and row["kept"] for row in stages),
            ),
            "lost_passages": lost_passages(lake, ledger, located.origin),
            "mixtures": _mixtures(lake, ledger, runs, doc_id),
            "training": [row for run in runs for row in _training(lake, ledger, run, index, doc_id)],
        }
        judges = _judges(ledger, located, stages) if verified else []
    return with_verification(lake, found, judges, verified=verified)


def _judges(ledger: LineageLedger, located: Located, stages: list[dict[str, Any]]) -> list[StoredRecord]:
    """Return the records whose rows say what became of a document."""
    versions = {row["data_version"] for row in stages}
    source, delivery = located.origin["source"], located.origin["delivery"]
    history = ledger.history([f"{source}/{row['stage']}" for row in stages], delivery)
    return [stored for stored in history if stored.record.data_version in versions]


def _origin_of(lake: Lake, ledger: LineageLedger, doc_id: str) -> Mapping[str, Any]:
    """Return where a document that another one names came from, as far as that is still known."""
    try:
        return locate(lake, ledger, doc_id).origin
    except LineageError:
        return {"doc_id": doc_id}


def _twins(
    lake: Lake, ledger: LineageLedger, index: DocumentIndex, located: Located, *, kept: bool
) -> list[dict[str, Any]]:
    """Return the other documents that were dropped as copies of the same survivor."""
    doc_id = located.origin["doc_id"]
    if kept:
        return copies_of(lake, ledger, index, doc_id, located.origin)
    found = twins_of_document(lake, ledger, doc_id, located.origin)
    return [twin for twin in found["twins"] if twin["doc_id"] != doc_id] if found else []


def mixtures_to_look_at(lake: Lake, ledger: LineageLedger, runs: list[TrainedRun]) -> list[StoredRecord]:
    """Return the newest version of every mixture, and those that runs were trained on."""
    heads = ledger.all_heads(lake.assets("mix"))
    newest = [partitions[UNPARTITIONED] for _, partitions in sorted(heads.items())]
    looked_at = {(stored.record.asset, stored.record.data_version): stored for stored in newest}
    for run in runs:
        looked_at.setdefault((run.mixture.record.asset, run.mixture.record.data_version), run.mixture)
    return list(looked_at.values())


def _mixtures(lake: Lake, ledger: LineageLedger, runs: list[TrainedRun], doc_id: str) -> list[dict[str, Any]]:
    records = mixtures_to_look_at(lake, ledger, runs)
    wanted = is_one_of([doc_id])
    chosen = pl.collect_all(
        [
            lake.read_commit(stored.as_input()).filter(wanted).select("component", "split", "copies")
            for stored in records
        ]
    )
    found = []
    for stored, rows in zip(records, chosen, strict=True):
        verdict = {"kept": True, "drop_reason": "success", **rows.row(0, named=True)} if rows.height else None
        if verdict is None:
            table = stored.record.side_tables[SideTable.LEDGER]
            left_out = lake.read_commit(table).filter(wanted).select("kept", "drop_reason").collect()
            verdict = left_out.row(0, named=True) if left_out.height else None
        if verdict is not None:
            found.append(
                {"mixture": stored.record.asset, "data_version": stored.record.data_version, **verdict}
            )
    return found


def _training(
    lake: Lake, ledger: LineageLedger, run: TrainedRun, index: DocumentIndex, doc_id: str
) -> list[dict[str, Any]]:
    """Return where the document's tokens stand in a run, which steps saw them, and what came of it."""
    found_in = index.in_tokens(run.tokens, lambda: run.run.trace, doc_id)
    if not found_in.places:
        return []
    opened = run_behind(lake, [run.tokens, run.order], found_in.starts)
    copies = opened.trace.rows(found_in.places).filter(pl.col("doc_id") == doc_id)
    found = []
    for copy, shard, offset, tokens in copies.select("copy", "shard", "offset", "tokens").iter_rows():
        steps = steps_that_saw(opened, offset, tokens, run.steps)
        found.append(
            {
                "run": f"train/{run.experiment}",
                "copy": copy,
                "shard": shard,
                "token_offset": offset,
                "tokens": tokens,
                "steps": steps,
                "checkpoints": scores_of(lake, ledger, run, since=steps[0]) if steps else [],
            }
        )
    return found

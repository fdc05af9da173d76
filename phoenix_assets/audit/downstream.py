"""The audit of what stands on a delivery, or on one file of it: partitions, mixtures, tokens, steps, checkpoints, scores.

What *holds* its documents is counted in the data itself. What was merely *made with* them, such as an index that compared
them with others or a model that was trained on them, follows from the records.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from phoenix_assets.audit.closure import standing_on, with_verification
from phoenix_assets.audit.document import mixtures_to_look_at
from phoenix_assets.audit.documents import STAGES, Subset
from phoenix_assets.audit.exposure import occurrences
from phoenix_assets.audit.runs import TrainedRun, trained_runs
from phoenix_assets.audit.scores import scores_of
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import Stage
from resources.lake import Lake
from resources.ledger import LineageLedger


def audit_delivery(lake: Lake, ledger: LineageLedger, name: str, *, verified: bool = True) -> dict[str, Any]:
    """Return what stands on a delivery, `source/delivery`, as plain JSON values. Raises LineageError for none such."""
    source, _, delivery = name.partition("/")
    raw = _raw(lake, ledger, source, delivery)
    about = {"source": source, "delivery": delivery, **_facts(lake, raw)}
    return _account(lake, ledger, "delivery", about, raw, Subset(source, delivery), verified=verified)


def audit_file(lake: Lake, ledger: LineageLedger, name: str, *, verified: bool = True) -> dict[str, Any]:
    """Return what stands on one delivered file, `source/delivery/path`, as plain JSON values.

    Raises LineageError when no delivery has it.
    """
    source, _, rest = name.partition("/")
    delivery, _, path = rest.partition("/")
    raw = _raw(lake, ledger, source, delivery)
    facts = _facts(lake, raw)
    files = {file["file"]: file for file in facts.pop("files")}
    if path not in files:
        raise LineageError(
            f"{source}/{delivery} has no file {path!r}; it has: {', '.join(sorted(files)[:10])}"
        )
    subset = Subset(source, delivery, _documents_of(lake, ledger, source, delivery, path))
    about = {
        "source": source,
        "delivery": delivery,
        **files[path],
        **facts,
        "documents": len(subset.doc_ids or ()),
    }
    return _account(lake, ledger, "file", about, raw, subset, verified=verified)


def exposure_of(lake: Lake, ledger: LineageLedger, subset: Subset) -> dict[str, list[dict[str, Any]]]:
    """Return the mixtures that hold documents of a subset, and the runs that were trained on them."""
    runs = list(trained_runs(lake, ledger))
    return {
        "mixtures": _mixtures(lake, mixtures_to_look_at(lake, ledger, runs), subset),
        "training": [row for run in runs if (row := _training(lake, ledger, run, subset))],
    }


def _account(
    lake: Lake,
    ledger: LineageLedger,
    kind: str,
    about: Mapping[str, Any],
    raw: StoredRecord,
    subset: Subset,
    *,
    verified: bool,
) -> dict[str, Any]:
    with ledger.connect():
        chain = _chain(ledger, subset)
        found = {
            "kind": kind,
            kind: about,
            "licences": [term.model_dump(mode="json") for term in raw.record.licences],
            "stages": _stages(lake, chain, subset),
            **exposure_of(lake, ledger, subset),
            "made_with_it": _made_with(standing_on(ledger, raw), subset),
        }
    return with_verification(lake, found, [raw, *chain], verified=verified)


def _raw(lake: Lake, ledger: LineageLedger, source: str, delivery: str) -> StoredRecord:
    there = ledger.heads(f"{source}/{Stage.RAW}") if lake.exists(f"{source}/{Stage.RAW}") else {}
    if delivery not in there:
        known = ", ".join(f"{source}/{name}" for name in sorted(there)[:10])
        raise LineageError(f"no delivery {source}/{delivery}; there are: {known or 'none of this source'}")
    return there[delivery]


def _facts(lake: Lake, raw: StoredRecord) -> dict[str, Any]:
    files = (
        lake.read_commit(raw.as_input()).sort("file").select("file", "bytes", "sha256", "vendor").collect()
    )
    return {
        "data_version": raw.record.data_version,
        "received": raw.record.finished,
        "files": files.to_dicts(),
    }


def _documents_of(
    lake: Lake, ledger: LineageLedger, source: str, delivery: str, path: str
) -> tuple[str, ...]:
    """Return the documents that were read out of a file, also those that extraction dropped again."""
    extracted = ledger.heads(f"{source}/{Stage.EXTRACTED}").get(delivery)
    if extracted is None:
        return ()
    own = pl.col("locator").str.starts_with(f"{path}#")
    return tuple(
        lake.read_commit(extracted.as_input()).filter(own).select("doc_id").collect()["doc_id"].sort()
    )


def _chain(ledger: LineageLedger, subset: Subset) -> list[StoredRecord]:
    """Return the newest records of the delivery's own stages, in their order."""
    assets = [f"{subset.source}/{stage}" for stage in STAGES]
    heads = ledger.all_heads(assets)
    return [heads[asset][subset.delivery] for asset in assets if subset.delivery in heads.get(asset, {})]


def _stages(lake: Lake, chain: Iterable[StoredRecord], subset: Subset) -> list[dict[str, Any]]:
    rows = []
    for stored in chain:
        record = stored.record
        reasons = record.reasons if subset.doc_ids is None else _reasons(lake, stored, subset)
        documents = record.counts["rows_out"]
        if subset.doc_ids is not None:
            documents = _count(lake.read_commit(stored.as_input()), subset)
        rows.append(
            {
                "asset": record.asset,
                "data_version": record.data_version,
                "code_version": record.code_version,
                "documents": documents,
                "dropped": dict(sorted(reasons.items())),
            }
        )
    return rows


def _reasons(lake: Lake, stored: StoredRecord, subset: Subset) -> dict[str, int]:
    dropped = lake.read_commit(stored.record.side_tables[SideTable.LEDGER]).filter(
        subset.chosen, ~pl.col("kept")
    )
    return dict(dropped.group_by("drop_reason").len().collect().iter_rows())


def _count(rows: pl.LazyFrame, subset: Subset) -> int:
    return int(rows.filter(subset.chosen).select(pl.len()).collect().item())


def _mixtures(lake: Lake, mixtures: Iterable[StoredRecord], subset: Subset) -> list[dict[str, Any]]:
    found = []
    for stored in mixtures:
        chosen = lake.read_commit(stored.as_input()).filter(subset.of_this)
        parts = chosen.group_by("component", "split").agg(
            documents=pl.len(), copies=pl.col("copies").sum(),
            estimated_tokens=(pl.col("copies") * pl.col("est_tokens")).sum(),
        )  # fmt: skip
        found += [
            {"mixture": stored.record.asset, "data_version": stored.record.data_version, **row}
            for row in parts.sort("component", "split").collect(engine="streaming").to_dicts()
        ]
    return found


def _training(lake: Lake, ledger: LineageLedger, run: TrainedRun, subset: Subset) -> dict[str, Any] | None:
    """Return what a run has of the documents and has seen of it, with the checkpoints that came after."""
    rows = _trace_rows(run, subset)
    if not len(rows):
        return None
    stand = occurrences(run.run, rows)
    steps = stand.steps(run.steps)
    scored = scores_of(lake, ledger, run, since=int(steps[0])) if len(steps) else []
    for row in scored:
        row["tokens_seen"] = stand.seen(row["step"])
    return {
        "run": f"train/{run.experiment}",
        "tokens": f"{run.tokens.record.asset}@{run.tokens.record.data_version}",
        "documents": len(rows),
        "tokens_in_shards": int(run.run.trace.lengths()[rows].sum()),
        "tokens_seen": stand.seen(run.steps),
        "steps": {"seen_in": len(steps), "first": int(steps[0]), "last": int(steps[-1]), "of": run.steps}
        if len(steps)
        else None,
        "checkpoints": scored,
    }


def _trace_rows(run: TrainedRun, subset: Subset) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return which documents of the trace index are of the subset, by position."""
    trace = run.run.trace
    own = (trace.origins["source"] == subset.source) & (trace.origins["delivery"] == subset.delivery)
    rows = np.flatnonzero(own.to_numpy()[trace.codes()])
    if subset.doc_ids is not None and len(rows):
        rows = rows[trace.rows(trace.places(rows)).select(subset.chosen).to_series().to_numpy()]
    return rows


def _made_with(records: Iterable[StoredRecord], subset: Subset) -> list[dict[str, Any]]:
    """Return the assets that were made with the delivery without being of its own chain: how many partitions, of how many."""
    own = {f"{subset.source}/{stage}" for stage in STAGES}
    partitions = Counter(
        {
            (one.record.asset, one.record.partition): 1
            for one in records
            if not (one.record.asset in own and one.record.partition == subset.delivery)
        }
    )
    by_asset = Counter(asset for asset, _ in partitions)
    return [{"asset": asset, "partitions": count} for asset, count in sorted(by_asset.items())]

"""The audit of what something stands on: every delivery, file, rule, threshold, model, code version and licence behind it.

One account for checkpoints, evaluations, mixtures and datasets; they differ in where it begins, and in what is counted of
each delivery: what a run has seen, what a mixture has chosen, what a dataset holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from phoenix_assets.audit.closure import closure, with_verification
from phoenix_assets.audit.exposure import seen_by_delivery
from phoenix_assets.audit.named import dataset_named
from phoenix_assets.audit.runs import checkpoint_at, only, run_behind, trace_of, trained_by
from phoenix_assets.lineage import LineageRecord, StoredRecord, by_table_version
from phoenix_assets.schema import Stage
from resources.erasures import seen_by_run
from resources.lake import Lake
from resources.ledger import LineageLedger

Amounts = Mapping[tuple[str, str], Mapping[str, int]]  # what is counted of a delivery, by source and delivery
_STAGES: Final = frozenset(stage.value for stage in Stage if stage is not Stage.RAW)


def audit_checkpoint(
    lake: Lake, ledger: LineageLedger, experiment: str, step: int | None = None, *, verified: bool = True
) -> dict[str, Any]:
    """Return the audit of the experiment's checkpoint at `step` (default: the newest) as plain JSON values.

    Raises LineageError when there is no such checkpoint.
    """
    with ledger.connect():
        checkpoint = checkpoint_at(ledger, experiment, step)
        records = closure(ledger, checkpoint)
    counts = checkpoint.record.counts
    about: dict[str, Any] = {
        "experiment": experiment,
        "step": counts["step"],
        "tokens_seen": counts["tokens_seen"],
    }
    step_key = str(counts["step"])
    if erased := seen_by_run(ledger, f"train/{experiment}"):
        about["withdrawn"] = [
            {
                "erasure": one["erasure"],
                "reason": one["reason"],
                "tokens_seen": one["checkpoints"].get(step_key, 0),
            }
            for one in erased
        ]
    seen = _seen(lake, ledger, checkpoint)
    return _account(lake, "checkpoint", [checkpoint], records, about, seen, verified=verified)


def audit_evaluation(
    lake: Lake, ledger: LineageLedger, experiment: str, step: int | None = None, *, verified: bool = True
) -> dict[str, Any]:
    """Return the audit of an evaluation and of the checkpoint that it scored, with the scores."""
    with ledger.connect():
        evaluation = checkpoint_at(ledger, experiment, step, "eval")
        records = closure(ledger, evaluation)
    checkpoint = only(ledger.records_of(evaluation.record.inputs), "checkpoints/")
    counts = checkpoint.record.counts
    about = {
        "experiment": experiment,
        "step": counts["step"],
        "tokens_seen": counts["tokens_seen"],
        "scores": lake.read(evaluation.as_input())
        .filter(pl.col("source") == "all")
        .sort("lang")
        .collect()
        .to_dicts(),
    }
    seen = _seen(lake, ledger, checkpoint)
    return _account(lake, "evaluation", [evaluation], records, about, seen, verified=verified)


def audit_mixture(
    lake: Lake, ledger: LineageLedger, version: str, *, verified: bool = True
) -> dict[str, Any]:
    """Return the audit of a mixture (`v3`, `v3@<version>`): what it chose of each delivery, in tokens where they exist."""
    with ledger.connect():
        [mixture] = dataset_named(lake, ledger, f"mix/{version}")
        records = closure(ledger, mixture)
        tokens = ledger.head(f"tokens/{version.partition('@')[0]}")
    made = tokens if tokens and mixture.as_input() in tokens.record.inputs else None
    about = {"mixture": version, "tokens": made.record.counts["tokens"] if made else None}
    amounts = _chosen(lake, mixture, made)
    return _account(lake, "mixture", [mixture], records, about, amounts, verified=verified)


def audit_dataset(lake: Lake, ledger: LineageLedger, name: str, *, verified: bool = True) -> dict[str, Any]:
    """Return the audit of a dataset (see `named`): of its partitions, whatever asset it is."""
    with ledger.connect():
        starts = dataset_named(lake, ledger, name)
        records = closure(ledger, *starts)
    if len(starts) == 1 and starts[0].record.asset.startswith("mix/"):
        return audit_mixture(lake, ledger, name.removeprefix("mix/"), verified=verified)
    held = {
        (stored.record.asset.partition("/")[0], stored.record.partition): {
            "documents": stored.record.counts["rows_out"]
        }
        for stored in starts
        if stored.record.partition
    }
    return _account(lake, "dataset", starts, records, {"dataset": name}, held, verified=verified)


def _account(
    lake: Lake,
    kind: str,
    starts: Sequence[StoredRecord],
    records: list[StoredRecord],
    about: Mapping[str, Any],
    amounts: Amounts,
    *,
    verified: bool,
) -> dict[str, Any]:
    found = {
        "kind": kind,
        kind: {
            **about,
            "versions": [
                {
                    "asset": stored.record.asset,
                    "partition": stored.record.partition,
                    "data_version": stored.record.data_version,
                    "storage_version": stored.storage_version,
                    "finished": stored.record.finished,
                }
                for stored in starts
            ],
        },
        "deliveries": _deliveries(lake, records, amounts),
        "rules": _rules(records),
        "models": [_summary(stored) for stored in records if stored.record.asset.startswith("models/")],
        "code_versions": _code_versions(records),
        "records": [_summary(stored) for stored in records],
    }
    return with_verification(lake, found, records, verified=verified)


def _seen(lake: Lake, ledger: LineageLedger, checkpoint: StoredRecord) -> Amounts:
    """Return what all runs behind a checkpoint have seen of each delivery."""
    runs = [(run_behind(lake, read), steps) for read, steps in trained_by(ledger, checkpoint)]
    return _by_delivery(seen_by_delivery(runs))


def _chosen(lake: Lake, mixture: StoredRecord, tokens: StoredRecord | None) -> Amounts:
    chosen = (
        lake.read(mixture.as_input())
        .group_by("source", "delivery")
        .agg(
            documents=pl.len(),
            copies=pl.col("copies").sum(),
            estimated_tokens=(pl.col("copies") * pl.col("est_tokens")).sum(),
        )
    )
    counted = chosen.collect()
    if tokens is not None:
        counted = counted.join(_tokens_of(lake, tokens), on=["source", "delivery"], how="left")
    return _by_delivery(counted.fill_null(0))


def _tokens_of(lake: Lake, tokens: StoredRecord) -> pl.DataFrame:
    """Return (source, delivery, tokens) of the shards of all splits."""
    parts = []
    for split in lake.read(tokens.as_input()).select("split").unique().collect()["split"].sort():
        trace = trace_of(lake, tokens, split)
        frame = pl.DataFrame({"origin": trace.codes(), "tokens": trace.lengths()})
        by_origin = frame.group_by("origin").agg(pl.col("tokens").cast(pl.Int64).sum())
        origins = trace.origins.with_row_index("origin").select(
            pl.col("origin").cast(frame["origin"].dtype), "source", "delivery"
        )
        parts.append(by_origin.join(origins, on="origin").drop("origin"))
    empty = pl.DataFrame(schema={"tokens": pl.Int64, "source": pl.String, "delivery": pl.String})
    return pl.concat([empty, *parts]).group_by("source", "delivery").agg(pl.col("tokens").sum())


def _by_delivery(counted: pl.DataFrame) -> Amounts:
    names = [name for name in counted.columns if name not in ("source", "delivery")]
    return {
        (row["source"], row["delivery"]): {name: row[name] for name in names}
        for row in counted.iter_rows(named=True)
    }


def _deliveries(lake: Lake, records: list[StoredRecord], amounts: Amounts) -> list[dict[str, Any]]:
    """Return one row a delivery: files, licence, vendor, its documents at each stage, and what is counted of it."""
    versions: dict[tuple[str, str], list[StoredRecord]] = {}  # an index may stand on an earlier one, too
    for stored in records:
        source, _, stage = stored.record.asset.partition("/")
        if stage == Stage.RAW:
            versions.setdefault((source, stored.record.partition), []).append(stored)
    raw = [stored[-1] for stored in versions.values()]
    nothing = dict.fromkeys(next(iter(amounts.values()), {}), 0)
    files = _files(lake, raw)
    at_stage = _documents_at_stage(records)
    rows = []
    for stored in raw:
        record = stored.record
        place = (record.asset.partition("/")[0], record.partition)
        rows.append(
            {
                "source": place[0],
                "delivery": place[1],
                "data_version": record.data_version,
                "earlier_versions": [stored.record.data_version for stored in versions[place][:-1]],
                "files": files.get(place, []),
                "licences": [term.model_dump(mode="json") for term in record.licences],
                "documents_at_stage": at_stage.get(place, {}),
                **(amounts.get(place, nothing)),
            }
        )
    return sorted(rows, key=lambda row: (row["source"], row["delivery"]))


def _files(lake: Lake, raw: Iterable[StoredRecord]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the files of deliveries, as they were registered."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for sources in by_table_version(stored.as_input() for stored in raw).values():
        rows = pl.concat(lake.read_commit(source) for source in sources)
        listed = rows.select("source", "delivery", "file", "bytes", "sha256", "vendor").sort("file").collect()
        for source, delivery, *file in listed.iter_rows():
            found.setdefault((source, delivery), []).append(
                dict(zip(("file", "bytes", "sha256", "vendor"), file, strict=True))
            )
    return found


def _documents_at_stage(records: Iterable[StoredRecord]) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for stored in records:
        source, _, stage = stored.record.asset.partition("/")
        if stage in _STAGES:
            found.setdefault((source, stored.record.partition), {})[stage] = stored.record.counts["rows_out"]
    return found


def _rules(records: Iterable[StoredRecord]) -> list[dict[str, Any]]:
    """Return every configuration in force, once: rule sets, thresholds, recipes, settings."""
    seen: dict[tuple[str, str], LineageRecord] = {}
    for stored in records:
        if not stored.record.asset.endswith(f"/{Stage.RAW}"):  # of a delivery it is the manifest's checksum
            seen.setdefault((stored.record.asset, stored.record.config_digest), stored.record)
    return [
        {"asset": record.asset, "config_digest": record.config_digest, "config": record.config}
        for _, record in sorted(seen.items())
        if record.config
    ]


def _code_versions(records: Iterable[StoredRecord]) -> dict[str, list[str]]:
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

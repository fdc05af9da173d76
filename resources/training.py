"""What every asset that trains shares: the data that a job reads, and how Dagster follows a job to its end."""

import time
from pathlib import Path

import dagster as dg
import polars as pl

from phoenix_assets.errors import JobError, LineageError
from phoenix_assets.lineage import SideTable
from phoenix_assets.tokens.config import EXTENSION_FILE, TOKENIZER, Checkpoint, model_key
from resources.build import Build
from training_jobs.checkpoints import MANIFEST
from training_jobs.job import Start, TokenData
from training_jobs.launcher import JobHandle, JobStatus
from training_jobs.messages import StepMetrics, metrics_by_step

TRAINER = (
    "training_jobs.nemo_causal_lm",
    "training_jobs.data_order",
    "training_jobs.added_tokens",
)
_POLL_SECONDS = 1.0


def require_made_from(build: Build, asset: str, upstream: str) -> None:
    """Raise LineageError unless `asset` was made from just the version of `upstream` that the build reads."""
    record = build.ledger.record_of(build.input(asset)).record
    (read,) = (source.data_version for source in record.inputs if source.asset == upstream)
    now = build.input(upstream).data_version
    if read != now:
        raise LineageError(
            f"{asset} is for another {upstream} ({read[:16]}) than there is now ({now[:16]}); materialise {asset} again"
        )


def token_data(
    build: Build, tokens: str, tokenizer: str, home: Path, *, order: Path
) -> tuple[TokenData, int]:
    """Return the shards and the order that a job reads, relative to `home`, and the size of the vocabulary.

    Raises LineageError when the tokens were made by another version of the tokenizer.
    """
    from tokenizers import Tokenizer

    from training_jobs.tokenizer_export import TOKENIZER_FILE, token_id, vocabulary_size

    require_made_from(build, tokens, tokenizer)
    record = build.ledger.record_of(build.input(tokens)).record
    files = record.side_tables[SideTable.FILES]
    rows = build.lake.read(files).filter(pl.col("path").str.ends_with(".bin")).sort("path").collect()
    folder = build.lake.table_dir(files.asset).relative_to(home)
    shards: dict[str, list[Path]] = {"train": [], "validation": []}
    for path, stored_at in rows.select("path", "stored_at").iter_rows():
        shards[path.partition("-")[0]].append(folder / stored_at.removesuffix(".bin"))
    tokenizer_json = build.file(tokenizer, TOKENIZER_FILE)
    vocabulary = Tokenizer.from_file(str(tokenizer_json))
    data = TokenData(
        train=tuple(shards["train"]),
        order=order.relative_to(home),
        validation=tuple(shards["validation"]),
        tokenizer_json=tokenizer_json.relative_to(home),
        eod_id=token_id(vocabulary, str(record.config["eod"])),
    )
    return data, vocabulary_size(vocabulary)


def starting_point(build: Build, checkpoint: Checkpoint, tokenizer: str, home: Path) -> Start:
    """Return what a run that reads `tokenizer` starts from: the checkpoint, and tokens that may have been added since."""
    folder = build.file(checkpoint.asset, MANIFEST).parent
    extends = tokenizer != model_key(TOKENIZER)
    added = build.file(tokenizer, EXTENSION_FILE).relative_to(home) if extends else None
    return Start(checkpoint=folder.relative_to(home), added_tokens=added)


def follow(
    context: dg.AssetExecutionContext, handle: JobHandle, *, observations: int
) -> dict[int, StepMetrics]:
    """Report the job's steps to Dagster until it ends; return every step's metrics. Cancelling the run cancels the job.

    At most `observations` steps, and those that were validated, become observations. Raises JobError when the job did
    not succeed.
    """
    every = max(1, handle.job.steps // observations)
    offset = 0
    metrics: dict[int, StepMetrics] = {}
    try:
        while True:
            status = handle.status()
            messages, offset = handle.messages(offset)
            fresh = metrics_by_step(messages)
            metrics.update(fresh)
            for step, row in fresh.items():
                if step % every == 0 or row.validation_loss is not None:
                    context.log_event(_observation(context, row))
            if status is not JobStatus.RUNNING:
                break
            time.sleep(_POLL_SECONDS)
    except BaseException as interruption:
        if isinstance(interruption, dg.DagsterExecutionInterruptedError | KeyboardInterrupt):
            handle.cancel()
        raise
    if status is not JobStatus.SUCCEEDED:
        raise JobError(f"{handle.job.job_key} {status.value}; its log ends with:\n{handle.log_tail()}")
    return metrics


def _observation(context: dg.AssetExecutionContext, row: StepMetrics) -> dg.AssetObservation:
    values = {name: value for name, value in row.__dict__.items() if value is not None}
    context.log.info(f"step {row.step}: loss {row.loss:.4f}, {row.tokens_per_s:.0f} tokens/s")
    return dg.AssetObservation(context.asset_key, metadata=values)

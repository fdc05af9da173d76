"""`train/<experiment>` runs a NeMo job and follows it; `checkpoints/<experiment>` takes its checkpoints into the lake.

Training starts only when a person asks. The job outlives this process: a run that comes after a crash adopts it.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from phoenix_assets.config import digest
from phoenix_assets.content_hash import content_hash
from phoenix_assets.errors import JobError
from phoenix_assets.lineage import SideTable
from phoenix_assets.train.checks import BEATS_UNIGRAM, beats_unigram
from phoenix_assets.train.config import Experiment, load_experiments, load_sizes, training_job
from resources.build import Build
from resources.declare import Automation, checkpoints, declared
from resources.phoenix import Phoenix
from resources.report import materialized
from training_jobs.checkpoints import checkpoint_dir, list_checkpoints, read_manifest, verify
from training_jobs.job import TokenData, TrainingJob
from training_jobs.launcher import JobHandle, JobStatus, adopt_or_launch
from training_jobs.messages import StepMetrics, metrics_by_step

TOKENIZER = "models/tokenizer"
TRAINER = ("training_jobs.nemo_causal_lm", "training_jobs.data_order")
CHECKPOINT_COLUMN = "checkpoint"
_POLL_SECONDS = 1.0
_OBSERVATIONS = 20  # observations a run, at most: the event log is for people
METRICS = pl.Schema(
    {
        "job_key": pl.String,
        "step": pl.Int64,
        "loss": pl.Float64,  # nats a token, of the step's own global batch
        "validation_loss": pl.Float64,
        "grad_norm": pl.Float64,
        "param_norm": pl.Float64,
        "lr": pl.Float64,
        "tokens_seen": pl.Int64,
        "tokens_per_s": pl.Float64,
        "step_time_s": pl.Float64,
    }
)

TIMINGS = ("tokens_per_s", "step_time_s")  # of this execution; no part of what was learned


def train_key(experiment: str) -> str:
    """Return the asset path of a training run."""
    return f"train/{experiment}"


def checkpoints_key(experiment: str) -> str:
    """Return the asset path of a run's checkpoints."""
    return f"checkpoints/{experiment}"


def train_assets() -> list[dg.AssetsDefinition]:
    """Return the training run and the checkpoints of every experiment."""
    experiments = load_experiments()
    runs = [_train(name, experiment) for name, experiment in experiments.items()]
    return [*runs, *(_checkpoints(name) for name in experiments)]


def _train(name: str, experiment: Experiment) -> dg.AssetsDefinition:
    shape = load_sizes()[experiment.size]
    config: Mapping[str, Any] = {
        "experiment": experiment.model_dump(mode="json"),
        "size": shape.model_dump(mode="json"),
    }
    tokens = f"tokens/{experiment.mixture}"

    @dg.asset(
        **declared(
            train_key(name),
            room="train",
            kernels=TRAINER,
            config=config,
            deps=[tokens, TOKENIZER],
            automation=Automation.ON_REQUEST,  # training starts when a person asks
            kinds=("nemo", "pytorch"),
            description=experiment.description,
            pool="training",
        )
        | {"check_specs": [dg.AssetCheckSpec(BEATS_UNIGRAM, asset=dg.AssetKey(["train", name]))]}
    )
    def train(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        build = phoenix.start(context, config=config, same=[tokens, TOKENIZER])
        fingerprint = digest(build.code_version, *(source.data_version for source in build.inputs))
        data, vocab_size = _token_data(build, tokens, phoenix.path)
        job = training_job(
            name,
            experiment,
            shape,
            vocab_size=vocab_size,
            data=data,
            fingerprint=fingerprint,
            base=phoenix.path,
            threads=len(os.sched_getaffinity(0)),
        )
        phoenix.engine.release()
        handle = adopt_or_launch(job, phoenix.path / "jobs")
        metrics = _follow(context, handle)
        steps = [manifest.step for manifest in list_checkpoints(handle.state_dir, hashes=False)]
        context.instance.add_dynamic_partitions(
            checkpoints(name).name or "", [checkpoint_name(step) for step in steps]
        )
        frame = pl.DataFrame(
            [{"job_key": job.job_key, **row.__dict__} for row in metrics.values()], schema=METRICS
        )
        stored = build.commit(
            METRICS,
            [build.stage(frame)],
            counts={
                "rows_out": frame.height,
                "parameters": job.model.parameters(),
                "tokens_seen": frame["tokens_seen"].to_list()[-1],
            },
            data_version=content_hash(frame.drop(TIMINGS)).data_version,
        )
        validation_loss = handle.final_checkpoint().validation_loss
        return materialized(
            stored,
            checks=[beats_unigram(context.asset_key, job, validation_loss, experiment.baseline_tokens)],
            pictures=_pictures(name, frame),
            sample=frame.tail(5).drop("job_key"),
            extra={"final_loss": metrics[job.steps].loss, "job_key": job.job_key, "checkpoints": len(steps)},
        )

    return train


def _token_data(build: Build, tokens: str, home: Path) -> tuple[TokenData, int]:
    """Return the shards that the job reads, relative to `home`, and the size of the vocabulary."""
    import json

    record = build.ledger.record_of(build.input(tokens)).record
    files = record.side_tables[SideTable.FILES]
    rows = build.lake.read(files).filter(pl.col("path").str.ends_with(".bin")).sort("path").collect()
    folder = build.lake.table_dir(files.asset).relative_to(home)
    shards: dict[str, list[Path]] = {"train": [], "validation": []}
    for path, stored_at in rows.select("path", "stored_at").iter_rows():
        shards[path.partition("-")[0]].append(folder / stored_at.removesuffix(".bin"))
    tokenizer = build.file(TOKENIZER, "tokenizer.json")
    vocabulary = json.loads(tokenizer.read_text("utf-8"))
    eod = record.config["eod"]
    (eod_id,) = (token["id"] for token in vocabulary["added_tokens"] if token["content"] == eod)
    data = TokenData(
        train=tuple(shards["train"]),
        validation=tuple(shards["validation"]),
        tokenizer_json=tokenizer.relative_to(home),
        eod_id=eod_id,
    )
    return data, len(vocabulary["model"]["vocab"])


def _follow(context: dg.AssetExecutionContext, handle: JobHandle) -> dict[int, StepMetrics]:
    """Report the job's steps to Dagster until it ends; return every step's metrics. Cancelling the run cancels the job.

    Raises JobError when the job did not succeed.
    """
    every = max(1, handle.job.steps // _OBSERVATIONS)
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


def _pictures(name: str, frame: pl.DataFrame) -> dict[str, bytes]:
    from phoenix_assets.figures import lines

    steps = frame["step"].to_list()
    validation = frame.drop_nulls("validation_loss")
    losses = {
        "training": (steps, frame["loss"].to_list()),
        "validation": (validation["step"].to_list(), validation["validation_loss"].to_list()),
    }
    return {
        "loss": lines(losses, title=f"{name}: loss", x="step", y="nats a token"),
        "grad_norm": lines(
            {"gradient norm": (steps, frame["grad_norm"].to_list())},
            title=f"{name}: gradient norm",
            x="step",
            y="norm",
        ),
        "lr": lines({"lr": (steps, frame["lr"].to_list())}, title=f"{name}: learning rate", x="step", y="lr"),
    }


def checkpoint_name(step: int) -> str:
    """Return the partition key of a checkpoint: `step-000050`."""
    return f"step-{step:06d}"


def _checkpoints(name: str) -> dg.AssetsDefinition:
    @dg.asset(
        **declared(
            checkpoints_key(name),
            room="train",
            kernels=TRAINER,
            config={},
            deps=[train_key(name)],
            partitions=checkpoints(name),
            kinds=("safetensors",),
            description=f"The checkpoints of {name}: Hugging Face weights, tokenizer, trainer state, manifest.",
        )
    )
    def checkpoint(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        build = phoenix.start(context, config={}, same=[train_key(name)], partitioned_by=CHECKPOINT_COLUMN)
        key = str(build.read(train_key(name)).select("job_key").first().collect().item())
        job = TrainingJob.load(phoenix.path / "jobs" / key)
        step = int(build.partition.removeprefix("step-"))
        manifest = read_manifest(checkpoint_dir(phoenix.path / "jobs" / key, step))
        verify(manifest)
        with phoenix.lake.scratch() as folder:
            for (
                path
            ) in manifest.directory.iterdir():  # hard links: the trainer may still resume from its own copy
                (Path(folder) / path.name).hardlink_to(path)
            stored = build.commit_files(
                Path(folder),
                counts={"step": step, "tokens_seen": manifest.tokens, "sequences": manifest.sequences},
            )
        losses = {
            "train_loss": manifest.train_loss,
            "validation_loss": manifest.validation_loss or float("nan"),
        }
        return materialized(
            stored, extra={**losses, "manifest_digest": manifest.digest, "steps_planned": job.steps}
        )

    return checkpoint

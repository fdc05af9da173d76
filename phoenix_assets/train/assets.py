"""`train/<experiment>` runs a NeMo job and follows it; `checkpoints/<experiment>` takes its checkpoints into the lake.

Training starts only when a person asks. The job outlives this process: a run that comes after a crash adopts it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from phoenix_assets.config import digest
from phoenix_assets.content_hash import content_hash
from phoenix_assets.tokens.config import model_key
from phoenix_assets.train.checks import BEATS_UNIGRAM, beats_unigram
from phoenix_assets.train.config import Experiment, load_experiments, load_sizes, training_job
from resources.declare import Automation, checkpoints, declared, one_partition
from resources.frozen import require_sound
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.training import TRAINER, follow, require_made_from, starting_point, token_data
from training_jobs.checkpoints import (
    checkpoint_dir,
    checkpoint_name,
    list_checkpoints,
    read_manifest,
    verify,
)
from training_jobs.data_order import job_plan
from training_jobs.job import TrainingJob
from training_jobs.launcher import adopt_or_launch

CHECKPOINT_COLUMN = "checkpoint"
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
    tokens, order, tokenizer = experiment.tokens, f"order/{name}", model_key(experiment.tokenizer)
    start = experiment.start
    read = [tokens, order, tokenizer]

    @dg.asset(
        **declared(
            train_key(name),
            room="train",
            kernels=TRAINER,
            config=config,
            deps=read if start is None else [*read, one_partition(start.asset, start.partition)],
            automation=Automation.ON_REQUEST,  # training starts when a person asks
            kinds=("nemo", "pytorch"),
            description=experiment.description,
            pool="training",
        )
        | {"check_specs": [dg.AssetCheckSpec(BEATS_UNIGRAM, asset=dg.AssetKey(["train", name]))]}
    )
    def train(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from training_jobs.start import require_start

        require_sound(phoenix.ledger, experiment.mixture)
        started = [] if start is None else [phoenix.ledger.resolve(start.asset, start.partition)]
        build = phoenix.start(context, config=config, same=read, inputs=started)
        require_made_from(build, order, tokens)
        fingerprint = digest(build.code_version, *(source.data_version for source in build.inputs))
        data, vocab_size = token_data(
            build, tokens, tokenizer, phoenix.path, order=phoenix.lake.files_folder(build.input(order))
        )
        job = training_job(
            name,
            experiment,
            shape,
            vocab_size=vocab_size,
            data=data,
            fingerprint=fingerprint,
            base=phoenix.path,
            threads=len(os.sched_getaffinity(0)),
            start=None if start is None else starting_point(build, start, tokenizer, phoenix.path),
        )
        job_plan(job)  # refuses a job that is longer than its plan, before anything starts
        require_start(job)  # and one that cannot go on from what it is to start from
        phoenix.engine.release()
        handle = adopt_or_launch(job, phoenix.path / "jobs")
        metrics = follow(context, handle, observations=_OBSERVATIONS)
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
        from resources.audit_summary import audit_summary

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
        said: dict[str, Any] = {
            "manifest_digest": manifest.digest,
            "audit": audit_summary(build.ledger, stored),
        }
        return materialized(stored, extra={**losses, **said, "steps_planned": job.steps})

    return checkpoint

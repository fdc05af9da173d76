"""Train a job with nemo-toolkit: `python -m training_jobs.nemo_toolkit STATE_DIR`.

NeMo's `ModelPT` and `exp_manager` on Lightning's trainer: one process a device, on CPU or GPUs. A run goes on
from the newest whole checkpoint of its state folder; else it starts from the weights that it names, or the seed.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities import rank_zero_only
from nemo.utils.exp_manager import exp_manager

from training_jobs.added_tokens import with_added_rows
from training_jobs.checkpoints import CheckpointManifest, last_checkpoint
from training_jobs.data_order import job_plan, open_plan
from training_jobs.errors import JobConflict
from training_jobs.group_dro import DomainWeightLog, GroupDroLM
from training_jobs.job import Accelerator, TrainingJob
from training_jobs.messages import MESSAGES_FILE, MessageWriter
from training_jobs.nemo_causal_lm import CausalLM
from training_jobs.run_reports import RunReports
from training_jobs.start import added_tokens, require_start
from training_jobs.trainer_state import EMBEDDING, HEAD, WholeCheckpointIO, load_weights

NEMO_FOLDER: Final = "nemo"


def train(state_dir: Path, callbacks: Sequence[Callback] = ()) -> None:
    """Train the job of `state_dir` to its last step. Raises TrainingJobError; a finished job stays.

    A job whose data order is damaged, too short or another one than it began with fails before its first step, and so
    does one whose start does not fit it.
    """
    job = TrainingJob.load(state_dir)
    job_plan(job)
    order = open_plan(job.resolve(job.data.order), verified=True)[1].fingerprint
    resumed = _resume_point(job, state_dir, order)
    if resumed is not None and resumed.step >= job.steps:
        return
    started = None if resumed is not None else require_start(job)
    if rank_zero_only.rank == 0:
        with MessageWriter(state_dir / MESSAGES_FILE) as writer:
            writer.opened(
                {"job_key": job.job_key, "pid": os.getpid(), "from_step": resumed.step if resumed else 0}
            )
            _fit(job, state_dir, order, resumed, started, writer, callbacks)
    else:
        _fit(job, state_dir, order, resumed, started, None, callbacks)


def _resume_point(job: TrainingJob, state_dir: Path, order: str) -> CheckpointManifest | None:
    manifest = last_checkpoint(state_dir)
    if manifest is None:
        return None
    if manifest.job_key != job.job_key:
        raise JobConflict(f"{manifest.directory}: belongs to {manifest.job_key}: move it away")
    if manifest.order != order:
        raise JobConflict(
            f"{manifest.directory}: was trained in the data order {manifest.order[:16]}, the job's is {order[:16]}: "
            "give the job its own order back, or start it anew in an empty state folder"
        )
    return manifest


def _fit(
    job: TrainingJob,
    state_dir: Path,
    order: str,
    resumed: CheckpointManifest | None,
    started: CheckpointManifest | None,
    writer: MessageWriter | None,
    callbacks: Sequence[Callback],
) -> None:
    if job.hardware.accelerator is Accelerator.CPU:
        torch.set_num_threads(job.threads)
    torch.use_deterministic_algorithms(True, warn_only=job.hardware.accelerator is Accelerator.GPU)
    seed_everything(job.seed)
    reports = RunReports(job, state_dir, order, writer, resumed or started)
    if job.group_dro is not None and writer is not None:
        callbacks = [*callbacks, DomainWeightLog(state_dir)]
    trainer = build_trainer(job, [*callbacks, reports])
    exp_manager(trainer, _experiment(state_dir, resumed))
    model = CausalLM(job, trainer) if job.group_dro is None else GroupDroLM(job, job.group_dro, trainer)
    if started is not None:
        model.network.load_state_dict(_starting_weights(job, started))
    trainer.fit(model)


def _starting_weights(job: TrainingJob, started: CheckpointManifest) -> dict[str, torch.Tensor]:
    weights = load_weights(started.directory, tie_embeddings=job.model.tie_embeddings)
    rows = job.model.vocab_size
    if job.start is not None and len(weights[EMBEDDING]) < rows:
        added = added_tokens(job, job.start)
        weights |= {name: with_added_rows(weights[name], added, rows) for name in (EMBEDDING, HEAD)}
    return weights


def build_trainer(job: TrainingJob, callbacks: Sequence[Callback]) -> Trainer:
    """Return Lightning's trainer for the job's devices, precision and accumulation."""
    strategy: str | Strategy = (
        "auto" if job.hardware.ranks == 1 else DDPStrategy(gradient_as_bucket_view=True)
    )
    return Trainer(
        accelerator=job.hardware.accelerator.value,
        devices=job.hardware.devices,
        num_nodes=job.hardware.nodes,
        strategy=strategy,
        precision=job.precision.value,
        max_steps=job.steps,
        accumulate_grad_batches=job.accumulation,
        gradient_clip_val=job.optimizer.grad_clip,
        plugins=[WholeCheckpointIO(tie_embeddings=job.model.tie_embeddings)],
        callbacks=list(callbacks),
        use_distributed_sampler=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _experiment(state_dir: Path, resumed: CheckpointManifest | None) -> dict[str, object]:
    return {
        "explicit_log_dir": str(state_dir / NEMO_FOLDER),
        "resume_from_checkpoint": None if resumed is None else str(resumed.directory),
        "create_tensorboard_logger": False,
        "create_checkpoint_callback": False,  # RunReports writes whole checkpoints
        "log_step_timing": False,
        "log_tflops_per_sec_per_gpu": False,
    }


def main(arguments: Sequence[str]) -> None:
    """Train the job of the state folder named on the command line."""
    train(Path(arguments[0]).resolve())


if __name__ == "__main__":
    main(sys.argv[1:])

"""What a run leaves behind while it trains: step messages, validation losses and whole checkpoints."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from training_jobs.checkpoints import (
    CheckpointManifest,
    checkpoint_dir,
    describe_files,
    keep_newest,
    seal,
)
from training_jobs.job import TrainingJob
from training_jobs.messages import MessageWriter, StepMetrics
from training_jobs.nemo_causal_lm import CausalLM
from training_jobs.sequence_batches import validation_batches
from training_jobs.tokenizer_export import export_tokenizer


class RunReports(Callback):
    """Report steps, validate and checkpoint at the steps that the job names, and at the last one."""

    def __init__(
        self,
        job: TrainingJob,
        state_dir: Path,
        order: str,
        writer: MessageWriter | None,
        continued: CheckpointManifest | None,
    ) -> None:
        self._job = job
        self._state_dir = state_dir
        self._order = order  # fingerprint of the data-order plan
        self._writer = writer  # of rank 0; the other ranks have none
        self._parent = None if continued is None else continued.digest
        self._tokens_before = _tokens_before(job, continued)
        self._seen = 0
        self._since = (0, 0.0)

    def on_train_start(self, trainer: Trainer, pl_module: CausalLM) -> None:
        """Read the validation windows and start the clock."""
        self._validation = validation_batches(self._job, rank=trainer.global_rank)
        self._seen = trainer.global_step
        self._since = (self._seen, time.perf_counter())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: CausalLM, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After an optimizer step: report, validate, checkpoint."""
        step = trainer.global_step
        if step == self._seen:
            return
        self._seen = step
        rank_loss = pl_module.take_step_loss()
        validate, save = (
            self._due(step, self._job.validate_every),
            self._due(step, self._job.checkpoint_every),
        )
        if not (validate or save or self._due(step, self._job.log_every)):
            return
        loss = float(trainer.strategy.reduce(rank_loss, reduce_op="mean"))
        elapsed = time.perf_counter() - self._since[1]
        steps = step - self._since[0]
        validation_loss = self._validate(trainer, pl_module) if validate else None
        metrics = StepMetrics(
            step=step,
            loss=loss,
            validation_loss=validation_loss,
            grad_norm=pl_module.grad_norm,
            param_norm=pl_module.param_norm(),
            lr=pl_module.step_lr,
            tokens_seen=self._tokens_before + step * self._job.batch.tokens,
            tokens_per_s=steps * self._job.batch.tokens / elapsed,
            step_time_s=elapsed / steps,
        )
        if self._writer is not None:
            self._writer.step(metrics)
        if save:
            self._checkpoint(trainer, pl_module, metrics)
        self._since = (step, time.perf_counter())

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self._job.steps

    def _validate(self, trainer: Trainer, model: CausalLM) -> float | None:
        totals = torch.zeros(2, dtype=torch.float64, device=model.device)
        model.eval()
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            for batch in self._validation:
                count = batch["labels"].numel()
                loss = model.loss({name: value.to(model.device) for name, value in batch.items()})
                totals += torch.stack([loss.double() * count, totals.new_tensor(count)])
        model.train()
        loss_sum, count = trainer.strategy.reduce(totals, reduce_op="sum").tolist()
        return loss_sum / count if count else None

    def _checkpoint(self, trainer: Trainer, model: CausalLM, metrics: StepMetrics) -> None:
        directory = checkpoint_dir(self._state_dir, metrics.step)
        trainer.save_checkpoint(directory)
        if self._writer is None:
            return
        job = self._job
        model.network.config.to_json_file(directory / "config.json")
        export_tokenizer(job.resolve(job.data.tokenizer_json), job.data.eod_id, job.model.context, directory)
        manifest = CheckpointManifest(
            job_key=job.job_key,
            experiment=job.experiment,
            fingerprint=job.fingerprint,
            step=metrics.step,
            tokens=metrics.tokens_seen,
            order=self._order,
            sequences=metrics.step * job.batch.sequences,
            parent=self._parent,
            train_loss=metrics.loss,
            validation_loss=metrics.validation_loss,
            files=describe_files(directory),
            directory=directory,
        )
        seal(manifest)
        self._parent = manifest.digest
        self._writer.checkpoint(manifest.model_dump(mode="json"))
        if job.keep is not None:
            keep_newest(self._state_dir, job.keep)


def _tokens_before(job: TrainingJob, continued: CheckpointManifest | None) -> int:
    """Return the tokens that the weights were trained on before the run's first step."""
    if continued is None:
        return 0
    own = continued.step * job.batch.tokens if continued.job_key == job.job_key else 0
    return continued.tokens - own

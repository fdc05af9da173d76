"""Domain weights that are learned while a model trains: the second step of DoReMi (Xie et al. 2023, arXiv:2305.10429).

The batches hold all domains alike. Each domain's loss counts by its weight, and after each step the weights follow the
excess losses over a reference model, clipped at 0 token by token:

    w ← (1 - smoothing) * normalised(w * exp(step_size * excess)) + smoothing / domains

The result is the mean of the weights over all steps. In the paper step t's update comes before step t's gradient; here
it comes after it, so that a global batch may be cut into micro-batches and ranks.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, Trainer
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from training_jobs.checkpoints import read_manifest, verify
from training_jobs.errors import TrainingJobError
from training_jobs.job import GroupDro, TrainingJob
from training_jobs.nemo_causal_lm import CausalLM
from training_jobs.sequence_batches import Batch
from training_jobs.trainer_state import load_weights

KERNEL_VERSION: Final = "1"

WEIGHTS_FILE: Final = "domain_weights.jsonl"
_STATE: Final = "domain_weights"


def updated(
    weights: torch.Tensor, excess: torch.Tensor, *, step_size: float, smoothing: float
) -> torch.Tensor:
    """Return the domain weights after one step with these mean excess losses (nats a token, ≥ 0)."""
    scaled = weights * torch.exp(step_size * excess)
    return (1 - smoothing) * scaled / scaled.sum() + smoothing / len(weights)


class GroupDroLM(CausalLM):
    """A decoder whose domains count by weights that it learns beside its own."""

    def __init__(self, job: TrainingJob, settings: GroupDro, trainer: Trainer) -> None:
        super().__init__(job, trainer)
        self._settings = settings
        self._domains = torch.from_numpy(np.load(job.resolve(settings.domains), allow_pickle=False))
        self._reference = (
            _reference(self.network, job, settings),
        )  # a tuple: its weights are not the model's
        self.domain_weights = torch.full((settings.count,), 1 / settings.count, dtype=torch.float64)
        self._sums = torch.zeros((2, settings.count), dtype=torch.float64)  # clipped excess losses, tokens

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the weighted loss of one micro-batch; keep its excess losses and its plain loss."""
        losses = _token_losses(self.network, batch)
        with torch.no_grad():
            excess = losses - _token_losses(self._reference[0].to(losses.device), batch)
        domains = self._domains[batch["sequences"].cpu()]
        clipped = excess.clamp(min=0).double().sum(dim=1).cpu()
        self._sums.index_add_(1, domains, torch.stack([clipped, torch.full_like(clipped, losses.shape[1])]))
        self._loss_sum = self._loss_sum.to(losses.device) + losses.detach().mean()
        counted = self.domain_weights[domains].to(losses) * self._settings.count
        return (counted * losses.mean(dim=1)).mean()

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient, then update the domain weights: once a step, over its micro-batches and ranks."""
        super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        sums = self.trainer.strategy.reduce(self._sums.to(self.device), reduce_op="sum").cpu()
        self.domain_weights = updated(
            self.domain_weights,
            sums[0] / sums[1].clamp(min=1),  # a domain that no sequence was of has no excess
            step_size=self._settings.step_size,
            smoothing=self._settings.smoothing,
        )
        self._sums = torch.zeros_like(self._sums)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the domain weights with the trainer's state."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[_STATE] = self.domain_weights

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the domain weights that were saved."""
        self.domain_weights = checkpoint[_STATE]


class DomainWeightLog(Callback):
    """Append the domain weights after each step to a file: `{"step": …, "weights": […]}`, one a line."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / WEIGHTS_FILE
        self._step = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GroupDroLM, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After an optimizer step: write a line."""
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        line = json.dumps({"step": self._step, "weights": pl_module.domain_weights.tolist()})
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def read_domain_weights(state_dir: Path, steps: int) -> npt.NDArray[np.float64]:
    """Return (steps, domains): the weights after each step, the last report of each.

    Raises TrainingJobError when a step was never reported.
    """
    found: dict[int, list[float]] = {}
    for line in (state_dir / WEIGHTS_FILE).read_text("utf-8").splitlines():
        try:
            report = json.loads(line)
        except ValueError:  # cut off by a crash
            continue
        found[report["step"]] = report["weights"]
    if missing := [step for step in range(1, steps + 1) if step not in found]:
        raise TrainingJobError(
            f"{state_dir / WEIGHTS_FILE}: step {missing[0]} is not in it; delete the folder to train again"
        )
    return np.array([found[step] for step in range(1, steps + 1)], dtype=np.float64)


def _reference(network: LlamaForCausalLM, job: TrainingJob, settings: GroupDro) -> LlamaForCausalLM:
    manifest = read_manifest(job.resolve(settings.reference))
    verify(manifest)
    reference = LlamaForCausalLM(network.config)
    reference.load_state_dict(load_weights(manifest.directory, tie_embeddings=job.model.tie_embeddings))
    return reference.eval().requires_grad_(False)


def _token_losses(network: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Return (sequences, tokens): the loss of each next token in nats."""
    logits = network(input_ids=batch["input_ids"], use_cache=False).logits.float()
    return cross_entropy(logits.transpose(1, 2), batch["labels"], reduction="none")

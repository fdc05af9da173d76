"""A Llama decoder as a NeMo model: NeMo's optimizer and schedule around transformers' `LlamaForCausalLM`.

The model knows its job, serves its own data (`TrainBatches`, from the trainer's step on) and keeps what a
report needs: loss, gradient norm before clipping, and the learning rate that the step used.
"""

from typing import Any, Final

import torch
from lightning.pytorch import Trainer
from nemo.core import ModelPT
from omegaconf import DictConfig, OmegaConf
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM

from training_jobs.errors import TrainingDiverged
from training_jobs.job import Accelerator, ModelSize, TrainingJob
from training_jobs.sequence_batches import Batch, TrainBatches, train_tokens

KERNEL_VERSION: Final = "1"

_ATTENTION: Final = "sdpa"


def llama_config(size: ModelSize, eod_id: int) -> LlamaConfig:
    """Return the Hugging Face configuration of a model size."""
    return LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=size.vocab_size,
        hidden_size=size.hidden,
        intermediate_size=size.ffn,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        max_position_embeddings=size.context,
        rms_norm_eps=size.norm_eps,
        initializer_range=size.initializer_range,
        rope_parameters={"rope_type": "default", "rope_theta": size.rope_theta},
        tie_word_embeddings=size.tie_embeddings,
        bos_token_id=None,
        eos_token_id=eod_id,
        pad_token_id=None,
        dtype="float32",
    )


def optimizer_config(job: TrainingJob) -> DictConfig:
    """Return NeMo's configuration node for the job's optimizer and schedule."""
    optimizer = job.optimizer
    schedule = {
        "name": job.schedule.value,
        "warmup_steps": optimizer.warmup_steps,
        "min_lr": optimizer.final_lr,
    }
    return OmegaConf.create(
        {
            "optim": {
                "name": "adamw",
                "lr": optimizer.lr,
                "betas": list(optimizer.betas),
                "eps": optimizer.eps,
                "weight_decay": optimizer.weight_decay,
                "fused": True,
                "sched": schedule,
            }
        }
    )


class CausalLM(ModelPT):
    """Next-token prediction with a Llama decoder."""

    def __init__(self, job: TrainingJob, trainer: Trainer) -> None:
        self.job = job
        super().__init__(cfg=optimizer_config(job), trainer=trainer)
        config = llama_config(job.model, job.data.eod_id)
        self.network = LlamaForCausalLM._from_config(config, attn_implementation=_ATTENTION)
        self.tokens = train_tokens(job)
        self.grad_norm = float("nan")
        self.step_lr = float("nan")
        self._loss_sum = torch.zeros(())

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean cross-entropy (nats a token) of a batch's next tokens."""
        hidden = self.network.model(input_ids=batch["input_ids"], use_cache=False).last_hidden_state
        logits = self.network.lm_head(hidden)
        return cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten())

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the loss of one micro-batch and add it to the step's."""
        loss = self.loss(batch)
        self._loss_sum = self._loss_sum.to(loss.device) + loss.detach()
        return loss

    def take_step_loss(self) -> torch.Tensor:
        """Return this rank's mean loss over the step's micro-batches, and start the next step's."""
        mean = self._loss_sum / self.job.accumulation
        self._loss_sum = torch.zeros_like(self._loss_sum)
        return mean

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient's total norm, and keep the norm before clipping and the step's learning rate.

        Raises TrainingDiverged when the norm is not finite: the update would destroy the weights.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.job.optimizer.grad_clip)
        self.grad_norm, self.step_lr = float(norm), float(optimizer.param_groups[0]["lr"])
        if not torch.isfinite(norm):
            step = self.trainer.global_step + 1
            raise TrainingDiverged(
                f"step {step}: gradient norm {self.grad_norm}; look at this step's documents, then lower the "
                "learning rate or lengthen the warm-up"
            )

    def setup_optimizer_param_groups(self) -> None:
        """Give matrices weight decay, and norms and biases none."""
        parameters = list(self.network.parameters())
        self._optimizer_param_groups = [
            {"params": [p for p in parameters if p.ndim >= 2]},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]

    def param_norm(self) -> float:
        """Return the total L2 norm of all weights."""
        return float(torch.nn.utils.get_total_norm(p.detach() for p in self.network.parameters()))

    def train_dataloader(self) -> "DataLoader[Batch]":
        """Serve this rank's micro-batches from the trainer's current step on."""
        trainer = self.trainer
        batches = TrainBatches(self.job, self.tokens, rank=trainer.global_rank, done=trainer.global_step)
        return DataLoader(
            batches, batch_size=None, pin_memory=self.job.hardware.accelerator is Accelerator.GPU
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the loop counters to what the optimizer has done, however often the run was resumed.

        Lightning saves from inside a micro-batch: its own counters would repeat the last one after a resume.
        """
        loops = checkpoint["loops"]["fit_loop"]
        batches = loops["epoch_loop.batch_progress"]
        for counts in (batches["current"], batches["total"]):
            counts["completed"] = counts["ready"]
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] = self.trainer.global_step
        loops["epoch_progress"]["total"] = dict(loops["epoch_progress"]["current"])

    def setup_training_data(self, train_data_config: Any) -> None:
        """Do nothing: `train_dataloader` follows the job."""

    def setup_validation_data(self, val_data_config: Any) -> None:
        """Do nothing: the step reports hold the fixed validation windows."""

    @classmethod
    def list_available_models(cls) -> None:
        """Return nothing: checkpoints come from runs, not from a model catalogue."""
        return None

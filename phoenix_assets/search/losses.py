"""The validation loss of a proxy on each kind of documents."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from phoenix_assets.search.sequences import Mixed
from training_jobs.indexed_tokens import IndexedTokens
from training_jobs.sequence_batches import read_sequences

KERNEL_VERSION: Final = "1"

LOSSES: Final = pl.Schema(
    {
        "sample": pl.Int64,  # 0: the mixture as it is
        "job_key": pl.String,
        "component": pl.String,
        "lang": pl.String,
        "sequences": pl.Int64,
        "loss": pl.Float64,  # nats a token
    }
)


def mean_losses(
    model_dir: Path, tokens: IndexedTokens, mixed: Mixed, batch_sequences: int
) -> dict[int, float]:
    """Return the mean loss of each kind of sequences of `mixed`, in nats a token.

    `model_dir` is a Hugging Face causal language model; it runs on a GPU where there is one.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    transformers_logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(model_dir, local_files_only=True, use_safetensors=True)
    model = model.to(device).eval()
    places = np.sort(mixed.plan.places.astype(np.int64))
    losses = np.concatenate(
        [
            _losses(model, read_sequences(tokens, mixed.plan, part, model.config.vocab_size))
            for part in np.split(places, range(batch_sequences, len(places), batch_sequences))
        ]
    )
    kinds = mixed.kinds[places]
    return {int(kind): float(losses[kinds == kind].mean()) for kind in np.unique(kinds)}


@torch.inference_mode()
def _losses(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> npt.NDArray[np.float64]:
    """Return the mean loss of each sequence."""
    device = next(model.parameters()).device
    logits = model(input_ids=batch["input_ids"].to(device), use_cache=False).logits.float()
    losses = cross_entropy(logits.transpose(1, 2), batch["labels"].to(device), reduction="none")
    found: npt.NDArray[np.float64] = losses.double().mean(dim=1).cpu().numpy()
    return found

"""A checkpoint with rows for new tokens, as a model that others continue: `training_jobs.added_tokens` in Hugging Face's format."""

from pathlib import Path
from typing import Any, Final

import polars as pl
import torch

from phoenix_assets.errors import ConfigError
from training_jobs.added_tokens import set_added_rows

KERNEL_VERSION: Final = "1"


def extend_embeddings(checkpoint: Path, extension: pl.DataFrame, out: Path) -> int:
    """Write the Hugging Face checkpoint with a row for each of the EXTENSION rows into `out`; return its rows.

    Old rows, spare ones beyond the vocabulary included, keep their values and the weights their number format. Raises
    ConfigError when a token's parts are beyond the checkpoint's rows.
    """
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto", local_files_only=True)
    known = int(model.get_input_embeddings().weight.shape[0])
    largest = extension["parts"].explode().max()
    if isinstance(largest, int) and largest >= known:
        raise ConfigError(
            f"{checkpoint}: has {known} rows of embeddings, the tokenizer ids up to {largest}: extend the tokenizer that "
            "the checkpoint was trained with"
        )
    newest = extension["id"].max()
    rows = max(known, 1 + newest) if isinstance(newest, int) else known
    model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            if layer is not None:
                set_added_rows(layer.weight, extension)
    model.save_pretrained(out)
    return rows

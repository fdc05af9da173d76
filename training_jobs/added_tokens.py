"""Rows for tokens that a tokenizer was extended by: each is the mean of the rows of the old tokens that it was encoded by.

So a model that continues training starts from what it knew of the text. Input embeddings and output layer alike.
"""

from typing import Final

import polars as pl
import torch

KERNEL_VERSION: Final = "1"


def set_added_rows(weight: torch.Tensor, added: pl.DataFrame) -> None:
    """Set in `weight` (vocabulary, features) the row `id` of each of the `added` tokens from the rows of its `parts`.

    Parts are old tokens: layers that share their weight may be set twice.
    """
    for number, parts in added.select("id", "parts").iter_rows():
        weight[number] = weight[parts].float().mean(dim=0).to(weight.dtype)


def with_added_rows(weight: torch.Tensor, added: pl.DataFrame, rows: int) -> torch.Tensor:
    """Return `weight` grown to `rows` rows, those of the `added` tokens set."""
    grown = weight.new_zeros((rows, weight.shape[1]))
    grown[: len(weight)] = weight
    set_added_rows(grown, added)
    return grown

"""The baseline that a language model has to beat: predicting each token by its frequency alone."""

from typing import Final

import numpy as np
import numpy.typing as npt

KERNEL_VERSION: Final = "1"


def unigram_cross_entropy(train_counts: npt.NDArray[np.int64], valid_ids: npt.NDArray[np.integer]) -> float:
    """Return the cross entropy of `valid_ids` in nats a token, NaN for no ids.

    `train_counts[i]` is how often token i occurs in training; its length is the vocabulary. One is added to
    each count (Laplace's rule). Raises ValueError when an id is outside the vocabulary.
    """
    if len(valid_ids) == 0:
        return float("nan")
    least, greatest = int(valid_ids.min()), int(valid_ids.max())
    if least < 0 or greatest >= len(train_counts):
        raise ValueError(
            f"token ids {least} … {greatest} do not fit the {len(train_counts)} training counts: "
            "count over the same tokenizer's whole vocabulary"
        )
    smoothed = train_counts.astype(np.float64) + 1.0
    nats = np.log(smoothed.sum()) - np.log(smoothed)
    return float(np.bincount(valid_ids, minlength=len(nats)) @ nats / len(valid_ids))

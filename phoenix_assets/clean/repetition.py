"""Character repetition: how much of a text its most frequent character n-grams make up.

BLOOM's definition (bigscience-workshop/data_tooling, ac_dc/filtering.py): of the N distinct n-grams of a text, M
occur more than once; the ratio is the sum of the top min(⌊√N⌋, N − M) frequencies over the sum of all.
"""

from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Floats, Ints, Points
from phoenix_assets.clean.ngrams import Positions, repeated_ngrams, scratch

KERNEL_VERSION: Final = "1"


def character_repetition(texts: Codepoints, ngram: int) -> pl.Series:
    """Return the character repetition ratio of each text, Float64; 0.0 for a text shorter than `ngram`."""
    memory = scratch(texts.longest)
    ratios = np.zeros(len(texts), np.float64)
    _character_repetition(texts.offsets, texts.values, ngram, memory.arrays(), ratios)
    return pl.Series("character_repetition", ratios)


@njit(cache=True, nogil=True)
def _character_repetition(
    offsets: Ints,
    values: Points,
    ngram: int,
    counting: Any,
    ratios: Floats,
) -> None:
    for text in range(len(offsets) - 1):
        ratios[text] = repetition_of(values[offsets[text] : offsets[text + 1]], ngram, counting)


@njit(cache=True, nogil=True)
def repetition_of(
    text: Points,
    ngram: int,
    counting: Any,
) -> Any:
    """Return the character repetition ratio of one text; `counting` are the arrays of a `Scratch`."""
    total = len(text) - ngram + 1
    if total <= 0:
        return 0.0
    distinct, repeated = repeated_ngrams(text, 0, total, ngram, *counting)
    first, counts = counting[-2], counting[-1]
    top = min(int(np.sqrt(distinct)), distinct - repeated)
    return _sum_of_largest(counts[:repeated], top, first) / total


@njit(cache=True, nogil=True)
def _sum_of_largest(
    counts: Positions,
    top: int,
    histogram: Positions,
) -> Any:
    """Return the sum of the `top` largest counts, where counts beyond the given ones are 1.

    `histogram` is overwritten; it has room for the largest count.
    """
    if top >= len(counts):
        return top - len(counts) + counts.sum()
    largest = 0
    for count in counts:
        largest = max(largest, count)
    histogram[: largest + 1] = 0
    for count in counts:
        histogram[count] += 1
    total = 0
    while top > 0:
        taken = min(top, histogram[largest])
        total += taken * largest
        top -= taken
        largest -= 1
    return total

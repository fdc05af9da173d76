"""Character repetition: how much of a text its most frequent character n-grams make up.

BLOOM's definition (bigscience-workshop/data_tooling, ac_dc/filtering.py): of the N distinct n-grams of a text, M
occur more than once; the ratio is the sum of the top min(⌊√N⌋, N − M) frequencies over the sum of all. N-grams are
counted in an open-addressing table of first occurrences: a rolling hash finds the slot, the characters themselves
decide, so the counts are exact.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Floats, Hashes, Ints, Points

KERNEL_VERSION: Final = "1"


def character_repetition(texts: Codepoints, ngram: int) -> pl.Series:
    """Return the character repetition ratio of each text, Float64; 0.0 for a text shorter than `ngram`."""
    longest = int(np.diff(texts.offsets).max(initial=0))
    slots = 1 << max(4, int(2 * longest - 1).bit_length()) if longest else 16
    table = np.empty(slots, np.uint64)
    first = np.empty(longest + 1, np.int32)
    counts = np.empty(longest + 1, np.int32)
    ratios = np.zeros(len(texts), np.float64)
    _character_repetition(texts.offsets, texts.values, ngram, table, first, counts, ratios)
    return pl.Series("character_repetition", ratios)


@njit(cache=True, nogil=True)
def _character_repetition(
    offsets: Ints,
    values: Points,
    ngram: int,
    table: Hashes,
    first: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int32],
    ratios: Floats,
) -> None:
    multiplier = np.uint64(0x9E3779B97F4A7C15)
    finish = np.uint64(0xD6E8FEB86659FD93)
    # The low half of a table's entry is the n-gram's number + 1, the high half bits of its hash.
    id_bits = np.uint64(0xFFFFFFFF)
    tag_bits = np.uint64(0xFFFFFFFF00000000)
    leaving = np.uint64(1)
    for _ in range(ngram):
        leaving *= multiplier
    for text in range(len(offsets) - 1):
        start = offsets[text]
        total = offsets[text + 1] - start - ngram + 1
        if total <= 0:
            continue
        bits = 4
        while (1 << bits) < 2 * total:
            bits += 1
        mask = np.uint64((1 << bits) - 1)
        table[: 1 << bits] = 0
        rolling = np.uint64(0)
        for i in range(ngram - 1):
            rolling = rolling * multiplier + np.uint64(values[start + i] + 1)
        distinct = 0
        for position in range(total):
            rolling = rolling * multiplier + np.uint64(values[start + position + ngram - 1] + 1)
            if position > 0:
                rolling -= leaving * np.uint64(values[start + position - 1] + 1)
            mixed = (rolling ^ (rolling >> np.uint64(32))) * finish
            tag = mixed & tag_bits
            slot = mixed & mask
            while True:
                entry = table[slot]
                if entry == 0:
                    table[slot] = tag | np.uint64(distinct + 1)
                    first[distinct] = position
                    counts[distinct] = 1
                    distinct += 1
                    break
                if entry & tag_bits == tag:
                    known = np.int64(entry & id_bits) - 1
                    same = True
                    for k in range(ngram):
                        if values[start + first[known] + k] != values[start + position + k]:
                            same = False
                            break
                    if same:
                        counts[known] += 1
                        break
                slot = (slot + np.uint64(1)) & mask
        repeated = 0
        for k in range(distinct):
            count = counts[k]
            if count > 1:
                counts[repeated] = count
                repeated += 1
        root = int(np.sqrt(distinct))
        top = min(root, distinct - repeated)
        if top >= repeated:
            numerator = top - repeated
            for k in range(repeated):
                numerator += counts[k]
        else:
            ordered = np.sort(counts[:repeated])
            numerator = 0
            for k in range(top):
                numerator += ordered[repeated - 1 - k]
        ratios[text] = numerator / total

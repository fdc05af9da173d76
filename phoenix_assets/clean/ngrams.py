"""Repeated n-grams of a sequence, counted exactly.

Nearly all n-grams of a text occur once, and those need no counting. So a first pass sets a bit per n-gram by its
hash, in two bitmaps: seen, and seen again. Only n-grams whose bit was set twice (the repeated ones and a few that
share a bit with another) go through a hash table, where the symbols themselves decide what is equal.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from phoenix_assets.clean.buffers import Hashes

KERNEL_VERSION: Final = "1"

BITS_PER_NGRAM: Final = 16  # of a bitmap, at least: one n-gram in 17 shares its bit with another by chance
LEAST_WORDS: Final = 16  # of 64 bits in a bitmap
LEAST_SLOTS: Final = 16

Positions = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Scratch:
    """Memory for counting the n-grams of one sequence after the other."""

    hashes: Hashes
    bitmaps: Hashes  # words of "seen" and of "seen again" in turn
    candidates: Positions  # where n-grams begin that may be repeated
    table: Positions  # number + 1 of the n-gram in each slot, 0: empty
    first: Positions  # where each of the table's n-grams occurs first
    counts: Positions

    def arrays(self) -> tuple[Hashes, Hashes, Positions, Positions, Positions, Positions]:
        """Return the arrays as the kernels take them."""
        return self.hashes, self.bitmaps, self.candidates, self.table, self.first, self.counts


def scratch(longest: int) -> Scratch:
    """Return memory for sequences of up to `longest` symbols."""
    words = max(LEAST_WORDS, 1 << (longest * BITS_PER_NGRAM // 64).bit_length())
    slots = max(LEAST_SLOTS, 2 << longest.bit_length())
    sizes = (longest, slots, longest, longest)
    return Scratch(
        np.empty(longest, np.uint64),
        np.empty(2 * words, np.uint64),
        *(np.empty(size + 1, np.int32) for size in sizes),
    )


@njit(cache=True, nogil=True)
def repeated_ngrams(
    values: Any,
    start: int,
    total: int,
    ngram: int,
    hashes: Hashes,
    bitmaps: Hashes,
    candidates: Positions,
    table: Positions,
    first: Positions,
    counts: Positions,
) -> tuple[Any, int]:
    """Count the `total` n-grams of `values[start : start + total + ngram - 1]`, where `total` is 1 or more.

    Returns how many different ones there are and how many of them occur more than once; how often each of these
    does is in `counts`, in no particular order.
    """
    marked = np.uint64(_mark(values, start, total, ngram, hashes, bitmaps, candidates))
    sequence = values[start : start + total + ngram - 1]
    # Unsigned indices spare the test for negative ones.
    one = np.uint64(1)
    bits = 4
    while (1 << bits) < 2 * marked:
        bits += 1
    mask = np.uint64((1 << bits) - 1)
    table[: 1 << bits] = 0
    found = np.uint64(0)
    for m in range(marked):
        position = np.uint64(candidates[m])
        slot = hashes[position] & mask
        while True:
            known = np.uint64(table[slot])
            if known == 0:
                first[found] = position
                counts[found] = 1
                found += one
                table[slot] = found
                break
            known -= one
            other = np.uint64(first[known])
            if hashes[other] == hashes[position]:
                same = True
                for k in range(np.uint64(ngram)):
                    same &= sequence[other + k] == sequence[position + k]
                if same:
                    counts[known] += 1
                    break
            slot = (slot + one) & mask
    repeated = 0
    for k in range(found):
        count = counts[k]
        counts[repeated] = count
        repeated += count > 1
    return total - np.int64(marked) + np.int64(found), repeated


@njit(cache=True, nogil=True)
def _mark(
    values: Any,
    start: int,
    total: int,
    ngram: int,
    hashes: Hashes,
    bitmaps: Hashes,
    candidates: Positions,
) -> Any:
    """Hash the n-grams, find those that share a bit with another; return how many these are."""
    symbol = np.uint64(0x9E3779B97F4A7C15)
    finish = np.uint64(0xD6E8FEB86659FD93)
    one, six, low_bits = np.uint64(1), np.uint64(6), np.uint64(63)
    width = 4
    while (64 << width) < total * BITS_PER_NGRAM:
        width += 1
    bitmaps[: 2 << width] = 0
    shift = np.uint64(64 - 6 - width)
    turn, back = np.uint64(ngram % 64), np.uint64((64 - ngram) % 64)
    sequence = values[start : start + total + ngram - 1]
    # A cyclic polynomial: the hash turns by a bit with each symbol, so the one that leaves has turned n times.
    rolling = leaving = np.uint64(0)
    for i in range(ngram - 1):
        rolling = ((rolling << one) | (rolling >> low_bits)) ^ ((np.uint64(sequence[i]) + one) * symbol)
    for i in range(np.uint64(total)):
        entering = (np.uint64(sequence[i + np.uint64(ngram) - one]) + one) * symbol
        rolling = ((rolling << one) | (rolling >> low_bits)) ^ entering ^ leaving
        gone = (np.uint64(sequence[i]) + one) * symbol
        leaving = (gone << turn) | (gone >> back)
        hashes[i] = (rolling ^ (rolling >> np.uint64(32))) * finish
    for i in range(np.uint64(total)):
        place = hashes[i] >> shift
        word = (place >> six) << one
        bit = one << (place & low_bits)
        seen = bitmaps[word]
        bitmaps[word + one] |= seen & bit
        bitmaps[word] = seen | bit
    marked = np.uint64(0)
    for i in range(np.uint64(total)):
        place = hashes[i] >> shift
        candidates[marked] = i
        marked += (bitmaps[((place >> six) << one) + one] >> (place & low_bits)) & one
    return np.int64(marked)

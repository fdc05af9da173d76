"""Repeated n-grams of a sequence, counted exactly.

Nearly all n-grams of a text occur once, and those need no counting. So a first pass notes for each n-gram, at the
place of its hash, that something was seen there, or seen again. Only n-grams at places seen again (the repeated ones
and a few that share a place with another) go through a hash table, where the symbols themselves decide what is equal.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Points

KERNEL_VERSION: Final = "1"

PLACES_PER_NGRAM: Final = 8  # at least: one n-gram in 9 shares its place with another by chance
LEAST_PLACES: Final = 1024
LEAST_SLOTS: Final = 16

Positions = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Scratch:
    """Memory for counting the n-grams of one sequence after the other."""

    hashes: Points
    halves: Points  # hashes of shorter n-grams, on the way
    places: Bytes  # 0: never seen, 1: seen, above: seen again
    candidates: Positions  # where n-grams begin that may be repeated
    table: Positions  # number + 1 of the n-gram in each slot, 0: empty
    first: Positions  # where each of the table's n-grams occurs first
    counts: Positions

    def arrays(self) -> tuple[Points, Points, Bytes, Positions, Positions, Positions, Positions]:
        """Return the arrays as the kernels take them."""
        return (
            *(self.hashes, self.halves, self.places, self.candidates),
            *(self.table, self.first, self.counts),
        )


def scratch(longest: int) -> Scratch:
    """Return memory for sequences of up to `longest` symbols."""
    places = max(LEAST_PLACES, 1 << (longest * PLACES_PER_NGRAM).bit_length())
    slots = max(LEAST_SLOTS, 2 << longest.bit_length())
    return Scratch(
        np.empty(longest + 1, np.uint32),
        np.empty(longest + 1, np.uint32),
        np.empty(places, np.uint8),
        *(np.empty(size + 1, np.int32) for size in (longest, slots, longest, longest)),
    )


@njit(cache=True, nogil=True)
def repeated_ngrams(
    values: Any,
    start: int,
    total: int,
    ngram: int,
    hashes: Points,
    halves: Points,
    places: Bytes,
    candidates: Positions,
    table: Positions,
    first: Positions,
    counts: Positions,
) -> tuple[Any, int]:
    """Count the `total` n-grams of `values[start : start + total + ngram - 1]`, where `total` is 1 or more.

    Returns how many different ones there are and how many of them occur more than once; how often each of these
    does is in `counts`, in no particular order.
    """
    sequence = values[start : start + total + ngram - 1]
    hashed = _hash(sequence, ngram, hashes, halves)
    marked = np.uint64(_mark(hashed[:total], places, candidates))
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
        slot = np.uint64(hashed[position]) & mask
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
            if hashed[other] == hashed[position]:
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
def _hash(
    sequence: Any,
    ngram: int,
    hashes: Points,
    halves: Points,
) -> Points:
    """Hash the n-grams of `sequence`, by a polynomial; return which of the arrays has the hashes.

    The hashes of n-grams twice as long are made of two of the shorter ones: loops that run on vectors.
    """
    one, multiplier = np.uint32(1), np.uint32(0x9E3779B1)
    finish = np.uint32(0xD6E8FEB9)
    size = len(sequence)
    for i in range(np.uint64(size)):
        hashes[i] = np.uint32(sequence[i]) + one
    bit = 1
    while 2 * bit <= ngram:
        bit *= 2
    length, power = 1, multiplier
    while bit > 1:
        bit >>= 1
        after = np.uint64(length)
        length *= 2
        for i in range(np.uint64(max(0, size - length + 1))):
            halves[i] = hashes[i] * power + hashes[i + after]
        power *= power
        hashes, halves = halves, hashes
        if ngram & bit:
            after = np.uint64(length)
            length += 1
            for i in range(np.uint64(max(0, size - length + 1))):
                halves[i] = hashes[i] * multiplier + np.uint32(sequence[i + after])
            power *= multiplier
            hashes, halves = halves, hashes
    for i in range(np.uint64(max(0, size - length + 1))):
        hashes[i] = (hashes[i] ^ (hashes[i] >> np.uint32(15))) * finish
    return hashes


@njit(cache=True, nogil=True)
def _mark(
    hashes: Points,
    places: Bytes,
    candidates: Positions,
) -> Any:
    """Find the n-grams that share a place with another; return how many these are."""
    one = np.uint8(1)
    width = np.uint32(10)
    while (1 << width) < len(hashes) * PLACES_PER_NGRAM:
        width += np.uint32(1)
    places[: 1 << width] = 0
    shift = np.uint32(32) - width
    for i in range(np.uint64(len(hashes))):
        place = np.uint64(hashes[i] >> shift)
        places[place] = (places[place] << one) | one
    marked = np.uint64(0)
    for i in range(np.uint64(len(hashes))):
        candidates[marked] = i
        marked += np.uint64(places[np.uint64(hashes[i] >> shift)] > one)
    return np.int64(marked)

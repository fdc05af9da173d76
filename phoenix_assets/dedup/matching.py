"""Which documents of an index those of a block are duplicates of.

The model:
- Duplicates share at least one key, and their prints agree in at least `least` places.
- Of the documents before it that share a key with a document, the latest `compared` are looked at, wherever they are:
  so neither a million copies nor a boilerplate bucket is quadratic, and where one segment ends makes no difference.
- A segment's keys are sorted, so a key is found by bisection in a memory-mapped file: what a later delivery costs follows
  its own size.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.dedup.columns import Guard, blaming, is_verified, verify
from phoenix_assets.dedup.segments import GONE, NO_KEY, Block, Numbers, Prints, Segment

KERNEL_VERSION: Final = "1"


def matches(
    block: Block, segments: Sequence[Segment], budget: npt.NDArray[np.int32], *, least: int, threads: int
) -> tuple[Numbers, Numbers]:
    """Return which documents of the segments those of a block are duplicates of: (row, survivor's number) pairs.

    `budget` (bands, rows) says how many documents may be looked at for each key. Rows ascend; a survivor can come
    more than once a row.
    """
    size = -(-len(block) // threads)
    chunks = [slice(start, start + size) for start in range(0, len(block), size)]
    with ThreadPoolExecutor(threads) as pool:  # the kernel holds no lock
        found = list(pool.map(lambda rows: _matches(block, segments, budget, rows, least), chunks))
    return np.concatenate([pairs[0] for pairs in found]), np.concatenate([pairs[1] for pairs in found])


def _matches(
    block: Block, segments: Sequence[Segment], budget: npt.NDArray[np.int32], rows: slice, least: int
) -> tuple[Numbers, Numbers]:
    keys, left = np.ascontiguousarray(block.keys[:, rows]), np.ascontiguousarray(budget[:, rows])
    nothing = np.empty(0, np.int64)
    found = [
        (nothing, nothing),
        *(_found(keys, block.prints[rows], left, segment, least) for segment in reversed(segments)),
    ]
    row = np.concatenate([pairs[0] for pairs in found]) + rows.start
    order = np.argsort(row, kind="stable")
    return row[order], np.concatenate([pairs[1] for pairs in found])[order]


def _found(
    keys: Numbers, prints: Prints, budget: npt.NDArray[np.int32], segment: Segment, least: int
) -> tuple[Numbers, Numbers]:
    columns = [segment.column(name) for name in ("keys", "places", "prints", "survivors")]
    with blaming(*columns):
        found: tuple[Numbers, Numbers] = _probe(
            keys, prints, budget,
            *(column.values for column in columns), *(column.guard for column in columns), least,
        )  # fmt: skip
    return found


@numba.njit(cache=True, nogil=True)
def agree(left: Prints, a: int, right: Prints, b: int, least: int) -> bool:
    """Return whether two prints are equal in at least `least` places."""
    equal = 0
    for place in range(left.shape[1]):
        equal += left[a, place] == right[b, place]
    return equal >= least


@numba.njit(cache=True, nogil=True)
def _lower(keys: Numbers, guard: Guard, band: int, key: int, low: int) -> int:
    """Return the first place from `low` on in the keys of a band that is not below `key`."""
    high = keys.shape[1]
    states, first = guard[2], guard[3] + 8 * band * high
    while low < high:
        middle = (low + high) // 2
        if not is_verified(states, first + 8 * middle):
            verify(guard, 8 * (band * keys.shape[1] + middle), 8)
        if keys[band, middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True, nogil=True)
def _probe(
    keys: Numbers,
    prints: Prints,
    budget: npt.NDArray[np.int32],
    old_keys: Numbers,
    old_places: npt.NDArray[np.int32],
    old_prints: Prints,
    survivors: Numbers,
    key_guard: Guard,
    place_guard: Guard,
    print_guard: Guard,
    survivor_guard: Guard,
    least: int,
) -> tuple[Numbers, Numbers]:
    bands, rows = keys.shape
    width = 4 * old_prints.shape[1]
    place_states, first_place = place_guard[2], place_guard[3]
    print_states, first_print = print_guard[2], print_guard[3]
    survivor_states, first_survivor = survivor_guard[2], survivor_guard[3]
    size = old_keys.shape[1]
    found = np.empty((2, max(16, rows)), np.int64)
    count = 0
    for row in range(rows):
        first = count  # the row's own findings: found[:, first:count]
        for band in range(bands):
            key = keys[band, row]
            if key == NO_KEY or budget[band, row] == 0:
                continue
            low = _lower(old_keys, key_guard, band, key, 0)
            if low == size or old_keys[band, low] != key:
                continue
            place = _lower(old_keys, key_guard, band, key + 1, low)
            while place > low and budget[band, row] > 0:
                place -= 1
                at = 4 * (band * size + place)
                if not is_verified(place_states, first_place + at):
                    verify(place_guard, at, 4)
                other = old_places[band, place]
                if not is_verified(survivor_states, first_survivor + 8 * other):
                    verify(survivor_guard, 8 * other, 8)
                survivor = survivors[other]
                if survivor == GONE:
                    continue
                budget[band, row] -= 1
                known = False
                for earlier in range(first, count):
                    known |= found[1, earlier] == survivor
                if known:
                    continue
                at = width * other
                if not (
                    is_verified(print_states, first_print + at)
                    and is_verified(print_states, first_print + at + width - 1)
                ):
                    verify(print_guard, at, width)
                if not agree(prints, row, old_prints, other, least):
                    continue
                if count == found.shape[1]:
                    grown = np.empty((2, 2 * count), np.int64)
                    grown[:, :count] = found
                    found = grown
                found[0, count] = row
                found[1, count] = survivor
                count += 1
    return found[0, :count].copy(), found[1, :count].copy()

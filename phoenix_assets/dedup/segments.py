"""Segments: the immutable files that a dedup index is made of, and how later documents are matched with them.

The model:
- A document has a *print* (its MinHash signature, or the hash of its text or URL) and *keys* (one a band): duplicates
  share at least one key, and their prints agree in at least `least` places.
- Of the documents before it that share a key with a document, the latest `compared` are looked at, wherever they are:
  so neither a million copies nor a boilerplate bucket is quadratic, and where one segment ends makes no difference.
- A segment holds documents in the order in which they were decided, numbered through all segments of an index. Its
  keys are sorted, so a key is found by bisection in a memory-mapped file: what a later delivery costs follows its own
  size.
- `survivors` has the number of the document that each one stands behind, its own when it is kept, GONE when it is no
  longer part of the corpus. It is the only file that a removal writes anew.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

KERNEL_VERSION: Final = "1"

GONE: Final = -1
NO_KEY: Final = -(2**63)  # of a document that is a duplicate of nothing

Numbers = npt.NDArray[np.int64]
Prints = npt.NDArray[np.uint32]  # (documents, places)

COLUMNS: Final = ("keys", "places", "prints", "ids", "deliveries")  # besides the survivors


@dataclass(frozen=True)
class Block:
    """Documents to be decided, in the order of their priority, as columns of one length."""

    ids: npt.NDArray[np.uint8]  # (documents, 16): doc_id
    deliveries: npt.NDArray[np.int32]  # numbers in the index's list of deliveries
    prints: Prints
    keys: Numbers  # (bands, documents); NO_KEY where there is none

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def order(self) -> npt.NDArray[np.int32]:
        """The rows by key, for each band; rows with one key in ascending order."""
        return np.argsort(self.keys, axis=1, kind="stable").astype(np.int32)


@dataclass(frozen=True)
class Segment:
    """One segment: a folder of `.npy` files, and the number of its first document."""

    files: dict[str, Path]  # file by name; kept apart because a removal replaces `survivors` alone
    start: int
    count: int

    def load(self, name: str) -> npt.NDArray[Any]:
        """Return one file's array, memory-mapped."""
        column: npt.NDArray[Any] = np.load(self.files[name], mmap_mode="r", allow_pickle=False)
        return column

    @property
    def name(self) -> str:
        """The name of its folder."""
        return segment_name(self.start, self.count)

    @property
    def numbers(self) -> Numbers:
        """The numbers of the documents."""
        return np.arange(self.start, self.start + self.count)

    @cached_property
    def survivors(self) -> Numbers:
        """The number that each document stands behind."""
        column: Numbers = self.load("survivors")
        return column


def segment_name(start: int, count: int) -> str:
    """Return the name of the folder of a segment of `count` documents, the first of which has the number `start`."""
    return f"{start:012d}-{count}"


def write_segment(home: Path, block: Block, survivors: Numbers, start: int) -> Segment:
    """Write the decided documents of a block as a segment below `home`."""
    columns: dict[str, npt.NDArray[Any]] = {
        "keys": np.take_along_axis(block.keys, block.order, axis=1),
        "places": block.order,
        "prints": block.prints,
        "survivors": survivors,
        "ids": block.ids,
        "deliveries": block.deliveries,
    }
    return _write(home / segment_name(start, len(block)), columns, start, len(block))


def merge_segments(home: Path, segments: Sequence[Segment]) -> Segment:
    """Write neighbouring segments as one; numbers stay as they are."""
    start, count = segments[0].start, sum(segment.count for segment in segments)
    folder = home / segment_name(start, count)
    folder.mkdir(parents=True, exist_ok=True)
    bands = len(segments[0].load("keys"))
    keys = np.lib.format.open_memmap(folder / "keys.npy", "w+", np.int64, (bands, count))
    places = np.lib.format.open_memmap(folder / "places.npy", "w+", np.int32, (bands, count))
    for band in range(bands):  # one band in memory at a time
        joined = np.concatenate([segment.load("keys")[band] for segment in segments])
        shifted = [segment.load("places")[band] + (segment.start - start) for segment in segments]
        order = np.argsort(joined, kind="stable")
        keys[band], places[band] = joined[order], np.concatenate(shifted)[order]
    for name in ("prints", "survivors", "ids", "deliveries"):
        _concatenate(folder / f"{name}.npy", [segment.load(name) for segment in segments])
    return Segment({name: folder / f"{name}.npy" for name in (*COLUMNS, "survivors")}, start, count)


def replace_survivors(path: Path, segment: Segment, survivors: Numbers) -> Segment:
    """Return the segment with other survivors, written to `path`."""
    np.save(path, survivors, allow_pickle=False)
    return Segment({**segment.files, "survivors": path}, segment.start, segment.count)


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
        *(
        _probe(
            keys, block.prints[rows], left,
            segment.load("keys"), segment.load("places"), segment.load("prints"), segment.survivors, least,
        )
        for segment in reversed(segments)
        ),
    ]  # fmt: skip
    row = np.concatenate([pairs[0] for pairs in found]) + rows.start
    order = np.argsort(row, kind="stable")
    return row[order], np.concatenate([pairs[1] for pairs in found])[order]


def _write(folder: Path, columns: dict[str, npt.NDArray[Any]], start: int, count: int) -> Segment:
    folder.mkdir(parents=True, exist_ok=True)
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(column), allow_pickle=False)
    return Segment({name: folder / f"{name}.npy" for name in columns}, start, count)


def _concatenate(path: Path, parts: Sequence[npt.NDArray[Any]]) -> None:
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    whole = np.lib.format.open_memmap(path, "w+", parts[0].dtype, shape)
    place = 0
    for part in parts:
        whole[place : place + len(part)] = part
        place += len(part)
    whole.flush()


@numba.njit(cache=True, nogil=True)
def agree(left: Prints, a: int, right: Prints, b: int, least: int) -> bool:
    """Return whether two prints are equal in at least `least` places."""
    equal = 0
    for place in range(left.shape[1]):
        equal += left[a, place] == right[b, place]
    return equal >= least


@numba.njit(cache=True, nogil=True)
def _lower(keys: Numbers, key: int, low: int, high: int) -> int:
    """Return the first place in keys[low:high] that is not below `key`."""
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
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
    least: int,
) -> tuple[Numbers, Numbers]:
    bands, rows = keys.shape
    size = old_keys.shape[1]
    found = np.empty((2, max(16, rows)), np.int64)
    count = 0
    for row in range(rows):
        first = count  # the row's own findings: found[:, first:count]
        for band in range(bands):
            key = keys[band, row]
            if key == NO_KEY or budget[band, row] == 0:
                continue
            low = _lower(old_keys[band], key, 0, size)
            if low == size or old_keys[band, low] != key:
                continue
            place = _lower(old_keys[band], key + 1, low, size)
            while place > low and budget[band, row] > 0:
                place -= 1
                other = old_places[band, place]
                survivor = survivors[other]
                if survivor == GONE:
                    continue
                budget[band, row] -= 1
                known = False
                for earlier in range(first, count):
                    known |= found[1, earlier] == survivor
                if known or not agree(prints, row, old_prints, other, least):
                    continue
                if count == found.shape[1]:
                    grown = np.empty((2, 2 * count), np.int64)
                    grown[:, :count] = found
                    found = grown
                found[0, count] = row
                found[1, count] = survivor
                count += 1
    return found[0, :count].copy(), found[1, :count].copy()

"""Segments: the immutable files that a dedup index is made of.

The model:
- A document has a *print* (its MinHash signature, or the hash of its text or URL) and *keys* (one a band); `matching`
  says when two are duplicates.
- A segment holds documents in the order in which they were decided, numbered through all segments of an index. Its keys
  are sorted.
- `survivors` has the number of the document that each one stands behind, its own when it is kept, GONE when it is no
  longer part of the corpus. It is the only file that a removal writes anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.dedup.columns import Bytes, Column, open_column, seal, write_column
from phoenix_assets.errors import DamagedIndex

KERNEL_VERSION: Final = "2"

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
        order = np.empty(self.keys.shape, np.int32)
        for band, keys in enumerate(self.keys):
            order[band] = np.argsort(keys)  # several times as fast as a stable sort
        _sort_ties(self.keys, order)
        return order


@dataclass(frozen=True)
class Segment:
    """One segment: a folder of `.npy` files, and the number of its first document."""

    files: dict[str, Path]  # file by name; kept apart because a removal replaces `survivors` alone
    start: int
    count: int
    states: dict[str, Bytes] = field(
        default_factory=dict
    )  # of the files that were looked at: what is verified

    def column(self, name: str) -> Column:
        """Return one file. Raises DamagedIndex when it is missing or is not what was written."""
        column = open_column(self.files[name], self.states.get(name))
        documents = column.values.shape[1] if name in ("keys", "places") else column.values.shape[0]
        if documents != self.count:
            raise DamagedIndex(
                f"the index's file {column.path} is of another segment: it has {documents} documents, not {self.count}"
            )
        self.states[name] = column.states
        return column

    def load(self, name: str) -> npt.NDArray[Any]:
        """Return one file's array, memory-mapped and verified. Raises DamagedIndex."""
        return self.column(name).whole()

    @property
    def name(self) -> str:
        """The name of its folder."""
        return segment_name(self.start, self.count)

    @property
    def numbers(self) -> Numbers:
        """The numbers of the documents."""
        return np.arange(self.start, self.start + self.count)

    @property
    def survivors(self) -> Numbers:
        """The number that each document stands behind. Raises DamagedIndex."""
        return self.load("survivors")


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
    old_keys = [segment.load("keys") for segment in segments]
    old_places = [segment.load("places") for segment in segments]
    bands = len(old_keys[0])
    keys = np.lib.format.open_memmap(folder / "keys.npy", "w+", np.int64, (bands, count))
    places = np.lib.format.open_memmap(folder / "places.npy", "w+", np.int32, (bands, count))
    for band in range(bands):  # one band in memory at a time
        joined = np.concatenate([one[band] for one in old_keys])
        shifted = [
            one[band] + np.int32(segment.start - start)
            for one, segment in zip(old_places, segments, strict=True)
        ]
        order = np.argsort(joined, kind="stable")
        keys[band], places[band] = joined[order], np.concatenate(shifted)[order]
    for name, column in (("keys", keys), ("places", places)):
        column.flush()
        seal(folder / f"{name}.npy")
    for name in ("prints", "survivors", "ids", "deliveries"):
        _concatenate(folder / f"{name}.npy", [segment.load(name) for segment in segments])
    return Segment({name: folder / f"{name}.npy" for name in (*COLUMNS, "survivors")}, start, count)


def replace_survivors(path: Path, segment: Segment, survivors: Numbers) -> Segment:
    """Return the segment with other survivors, written to `path`."""
    write_column(path, survivors)
    states = {name: known for name, known in segment.states.items() if name != "survivors"}
    return Segment({**segment.files, "survivors": path}, segment.start, segment.count, states)


def _write(folder: Path, columns: dict[str, npt.NDArray[Any]], start: int, count: int) -> Segment:
    folder.mkdir(parents=True, exist_ok=True)
    for name, column in columns.items():
        write_column(folder / f"{name}.npy", column)
    return Segment({name: folder / f"{name}.npy" for name in columns}, start, count)


def _concatenate(path: Path, parts: Sequence[npt.NDArray[Any]]) -> None:
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    whole = np.lib.format.open_memmap(path, "w+", parts[0].dtype, shape)
    place = 0
    for part in parts:
        whole[place : place + len(part)] = part
        place += len(part)
    whole.flush()
    seal(path)


@numba.njit(cache=True, nogil=True)
def _sort_ties(keys: Numbers, order: npt.NDArray[np.int32]) -> None:
    """Put rows with one key into ascending order, in each band."""
    rows = keys.shape[1]
    for band in range(keys.shape[0]):
        first = 0
        for place in range(1, rows + 1):
            if place == rows or keys[band, order[band, place]] != keys[band, order[band, first]]:
                if place - first > 1:
                    order[band, first:place] = np.sort(order[band, first:place])
                first = place

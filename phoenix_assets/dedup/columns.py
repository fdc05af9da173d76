"""The files of an index: an array each, behind it the checksums of its blocks. A block is verified before it is used.

So damage is found before it decides anything, and what that costs follows what is read, not the size of the file.
"""

import math
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.errors import DamagedIndex

KERNEL_VERSION: Final = "1"

_BLOCK_BITS: Final = 14
_BLOCK: Final = 1 << _BLOCK_BITS  # bytes
_WORDS: Final = _BLOCK // 4  # of 32 bits, in a block
_SUM: Final = 8  # bytes
_AT_A_TIME: Final = 16  # blocks that are read to be summed
_WHOLE: Final = 1  # states of a block, besides 0: not read yet
_DAMAGED: Final = 2
_UNREADABLE: Final = (OSError, ValueError, EOFError, SyntaxError, TokenError, OverflowError)

Bytes = npt.NDArray[np.uint8]
Guard = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint64], Bytes, int]  # words, sums, states, first byte


class BadBlock(Exception):
    """What a kernel raises that has found a block unlike its checksum."""


@dataclass(frozen=True)
class Column:
    """One file, memory-mapped; `guard` is what a kernel verifies with what it reads of `values`."""

    path: Path
    values: npt.NDArray[Any]
    guard: Guard

    @property
    def states(self) -> Bytes:
        """What is known of each block."""
        return self.guard[2]

    def whole(self) -> npt.NDArray[Any]:
        """Return the array, verified. Raises DamagedIndex."""
        with blaming(self):
            verify(self.guard, 0, self.values.nbytes)
        return self.values

    def rows(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the elements at these places of the first dimension, verified. Raises DamagedIndex."""
        with blaming(self):
            _verify_rows(self.guard, places, self.values[:1].nbytes)
        return self.values[places]


def write_column(path: Path, values: npt.NDArray[Any]) -> None:
    """Write an array (elements of 4 bytes, or rows of a multiple of them) as a column's file."""
    np.save(path, np.ascontiguousarray(values), allow_pickle=False)
    seal(path)


def seal(path: Path) -> None:
    """Append the checksums to a file that has an array."""
    with path.open("ab") as file:
        file.write(bytes(-file.tell() % _SUM))
    sums: list[npt.NDArray[np.uint64]] = []
    words = np.empty(_WORDS * _AT_A_TIME, np.uint32)
    with path.open("rb", buffering=0) as file:  # read and not mapped, or all of it would be in memory at once
        while size := file.readinto(words.data):
            sums.append(_block_sums(words[: size // words.itemsize], _AT_A_TIME * len(sums)))
    with path.open("ab") as file:
        file.write(np.concatenate(sums).tobytes())


def open_column(path: Path, states: Bytes | None = None) -> Column:
    """Return the column in a file; `states` are those of an earlier look at it. Raises DamagedIndex, naming it."""
    try:
        with path.open("rb") as file:  # `numpy.load` and a `memmap` more would take ten times as long
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            first = file.tell()
            content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except _UNREADABLE as error:
        raise DamagedIndex(f"the index's file {path} cannot be read: {error}") from error
    size = math.prod(shape) * dtype.itemsize
    end = first + size + -(first + size) % _SUM
    blocks = -(-end // _BLOCK)
    if len(content) != end + _SUM * blocks:
        raise DamagedIndex(
            f"the index's file {path} is damaged: it has {len(content)} bytes, not {end + _SUM * blocks}"
        )
    guard = (
        content[:end].view(np.uint32),
        content[end:].view(np.uint64),
        np.zeros(blocks, np.uint8) if states is None else states,
        first,
    )
    values = content[first : first + size]
    with blaming(Column(path, values, guard)):
        verify(guard, -first, first)  # the header
    return Column(path, values.view(dtype).reshape(shape), guard)


@contextmanager
def blaming(*columns: Column) -> Iterator[None]:
    """Raise DamagedIndex naming the file when a kernel finds a damaged block in one of these columns."""
    try:
        yield
    except BadBlock as error:
        for column in columns:
            damaged = np.flatnonzero(column.states == _DAMAGED)
            if len(damaged):
                raise DamagedIndex(
                    f"the index's file {column.path} is damaged: its block of {_BLOCK} bytes at byte "
                    f"{damaged[0] * _BLOCK} is unlike its checksum"
                ) from error
        raise


@numba.njit(cache=True, nogil=True, inline="always")
def is_verified(states: Bytes, byte: int) -> bool:
    """Return whether the block with this byte of the file was verified: a call less where it was."""
    return bool(states[byte >> _BLOCK_BITS] == _WHOLE)


@numba.njit(cache=True, nogil=True)
def verify(guard: Guard, start: int, size: int) -> None:
    """Raise BadBlock unless all blocks with these bytes of the array are as they were written."""
    states, first = guard[2], guard[3] + start
    for block in range(first // _BLOCK, (first + size + _BLOCK - 1) // _BLOCK):
        if states[block] != _WHOLE:
            whole = _block_sum(guard[0], block) == guard[1][block]
            states[block] = _WHOLE if whole else _DAMAGED
            if not whole:
                raise BadBlock


@numba.njit(cache=True, nogil=True)
def _verify_rows(guard: Guard, places: npt.NDArray[np.int64], width: int) -> None:
    for place in places:
        verify(guard, place * width, width)


@numba.njit(cache=True, nogil=True)
def _block_sums(words: npt.NDArray[np.uint32], first: int) -> npt.NDArray[np.uint64]:
    """Return the sums of blocks, of which the first one in the file is the `first`."""
    sums = np.empty((len(words) + _WORDS - 1) // _WORDS, np.uint64)
    for block in range(len(sums)):
        sums[block] = _block_sum(words, block) + np.uint64(first)
    return sums


@numba.njit(cache=True, nogil=True)
def _block_sum(words: npt.NDArray[np.uint32], block: int) -> np.uint64:
    """Return the sum of a block's words, each times an odd number of its own: no change of one word escapes it."""
    mine = words[
        block * _WORDS : (block + 1) * _WORDS
    ]  # counted from 0, so that it vectorises: ten times as fast
    total = np.uint64(block)
    for place in range(len(mine)):
        total += np.uint64(mine[place]) * np.uint64(2 * place + 1)
    return total

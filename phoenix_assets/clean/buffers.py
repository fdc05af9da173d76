"""Text columns as flat arrays, the form in which the kernels of this room read them.

`utf8` views a string column as Arrow offsets and bytes, without copying; `codepoints` decodes a column once into
one array with an offset per document, so that each kernel loops over characters, not bytes; `column` makes a
string column of offsets and bytes again. A null is an empty text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from numba import njit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Points = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Utf8:
    """A text column as bytes: text i is `data[offsets[i] : offsets[i + 1]]`."""

    offsets: Ints
    data: Bytes


@dataclass(frozen=True)
class Codepoints:
    """A text column as Unicode code points: text i is `values[offsets[i] : offsets[i + 1]]`."""

    offsets: Ints
    values: Points

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    @property
    def longest(self) -> int:
        """The number of characters of the longest text."""
        return int(np.diff(self.offsets).max(initial=0))


def utf8(texts: pl.Series) -> Utf8:
    """View the String column `texts` as offsets and UTF-8 bytes."""
    arrow = texts.fill_null("").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    array = arrow if pa.types.is_large_string(arrow.type) else arrow.cast(pa.large_string())
    _, offset_buffer, data_buffer = array.buffers()
    start, stop = array.offset, array.offset + len(array) + 1
    if offset_buffer is None or len(array) == 0:
        return Utf8(np.zeros(1, np.int64), np.zeros(0, np.uint8))
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return Utf8(np.frombuffer(offset_buffer, np.int64)[start:stop], data)


def codepoints(texts: pl.Series) -> Codepoints:
    """Decode the String column `texts`."""
    view = utf8(texts)
    offsets = np.zeros(len(view.offsets), np.int64)
    values = np.empty(int(view.offsets[-1] - view.offsets[0]), np.uint32)
    used: int = _decode(view.offsets, view.data, offsets, values)
    return Codepoints(offsets, values[:used])


def rewritten(texts: Codepoints, kernel: Callable[..., int], *settings: Any) -> Codepoints:
    """Return what `kernel(offsets, values, *settings, new_offsets, new_values)` makes of the texts.

    It fills the new arrays, in which a text may be no longer than it was, and returns the length of all together.
    """
    offsets, values = np.zeros_like(texts.offsets), np.empty_like(texts.values)
    used = kernel(texts.offsets, texts.values, *settings, offsets, values)
    return Codepoints(offsets, values[:used])


def column(name: str, offsets: Ints, data: Bytes) -> pl.Series:
    """Return the String column whose text i is the UTF-8 `data[offsets[i] : offsets[i + 1]]`."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(np.ascontiguousarray(data))]
    array = pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)
    return pl.Series(name, array, dtype=pl.String)


@njit(cache=True, nogil=True)
def near(
    text: Points,
    memory: Points,
) -> Points:
    """Copy a text into the beginning of `memory`, and return it there.

    A copy reads on vectors, and waits less for far memory than a loop that does something about each character.
    """
    for i in range(np.uint64(len(text))):
        memory[i] = text[i]
    return memory[: len(text)]


@njit(cache=True, nogil=True)
def _decode(
    byte_offsets: Ints,
    data: Bytes,
    offsets: Ints,
    values: Points,
) -> Any:
    """Decode; `values` has room for a code point per byte. Unsigned indices spare the test for negative ones."""
    one, two, three, eight = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(8)
    used, size = np.uint64(0), np.uint64(byte_offsets[-1])
    for text in range(len(byte_offsets) - 1):
        offsets[text] = used
        i = np.uint64(byte_offsets[text])
        end = np.uint64(byte_offsets[text + 1])
        while i < end:
            first = np.uint32(data[i])
            if first < 0x80 and i + eight <= size:
                marks = _widen(data[i : i + eight], values[used : used + eight])
                # Guessed right, a branch costs less than to wait for the count.
                step = eight if marks == 0 and i + eight <= end else min(_ascii_before(marks), end - i)
                i += step
                used += step
                continue
            if first < 0x80:
                values[used] = first
                i += one
            elif first < 0xE0:
                values[used] = ((first & 0x1F) << 6) | (data[i + one] & 0x3F)
                i += two
            elif first < 0xF0:
                values[used] = ((first & 0x0F) << 12) | ((data[i + one] & 0x3F) << 6) | (data[i + two] & 0x3F)
                i += three
            else:
                values[used] = (
                    ((first & 0x07) << 18)
                    | ((data[i + one] & 0x3F) << 12)
                    | ((data[i + two] & 0x3F) << 6)
                    | (data[i + three] & 0x3F)
                )
                i += three + one
            used += one
    offsets[len(byte_offsets) - 1] = used
    return np.int64(used)


@njit(cache=True, nogil=True, inline="always")
def eight_bytes(
    data: Bytes,
    at: Any,
) -> Any:
    """Return eight bytes as a number, the first one lowest; the compiler makes one load of it."""
    number = np.uint64(data[at])
    for place in range(np.uint64(1), np.uint64(8)):
        number |= np.uint64(data[at + place]) << (np.uint64(8) * place)
    return number


@njit(cache=True, nogil=True)
def _widen(
    data: Bytes,
    values: Points,
) -> Any:
    """Copy eight bytes; return them with only the highest bit of each, which is set where it is not ASCII."""
    for k in range(8):
        values[k] = data[k]
    return eight_bytes(data, np.uint64(0)) & np.uint64(0x8080808080808080)


@njit(cache=True, nogil=True)
def _ascii_before(
    marks: Any,
) -> Any:
    """Return how many bytes come before the first one that is marked."""
    if marks == 0:
        return np.uint64(8)
    # The lowest mark alone, in its byte's lowest bit, shifts the byte that has its place to the top.
    lowest = (marks & (~marks + np.uint64(1))) >> np.uint64(7)
    return (lowest * np.uint64(0x0001020304050607)) >> np.uint64(56)


@njit(cache=True, nogil=True)
def write_codepoint(
    c: int,
    data: Bytes,
    used: int,
) -> int:
    """Write code point `c` as UTF-8 at `data[used:]`; return where the next one goes."""
    if c < 0x80:
        data[used] = c
        return used + 1
    if c < 0x800:
        data[used] = 0xC0 | (c >> 6)
        data[used + 1] = 0x80 | (c & 0x3F)
        return used + 2
    if c < 0x10000:
        data[used] = 0xE0 | (c >> 12)
        data[used + 1] = 0x80 | ((c >> 6) & 0x3F)
        data[used + 2] = 0x80 | (c & 0x3F)
        return used + 3
    data[used] = 0xF0 | (c >> 18)
    data[used + 1] = 0x80 | ((c >> 12) & 0x3F)
    data[used + 2] = 0x80 | ((c >> 6) & 0x3F)
    data[used + 3] = 0x80 | (c & 0x3F)
    return used + 4

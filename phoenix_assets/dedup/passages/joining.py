"""Passages to texts: what is left of texts without some of their passages, or the passages one by one."""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from phoenix_assets.dedup.passages.split import LINE_END, Numbers, Passages
from phoenix_assets.dedup.shingles import Bytes, Offsets

KERNEL_VERSION: Final = "1"

_BLANK: Final = ord(" ")


def without(passages: Passages, removed: npt.NDArray[np.bool_]) -> pl.Series:
    """Return the texts without their `removed` passages, in which no line, paragraph or word grows together."""
    data, offsets = _without(passages.data, passages.bounds, passages.starts, passages.ends, removed)
    return _column(data, offsets)


def excerpts(passages: Passages, chosen: npt.NDArray[np.bool_]) -> pl.Series:
    """Return the text of each of the `chosen` passages."""
    starts, ends = passages.starts[chosen], passages.ends[chosen]
    places = np.arange(len(starts) + 1)
    data, offsets = _without(passages.data, places, starts, ends, np.zeros(len(starts), np.bool_))
    return _column(data, offsets)


def _column(data: Bytes, offsets: Offsets) -> pl.Series:
    array = pa.Array.from_buffers(
        pa.large_string(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return pl.Series("text", array, pl.String)


@numba.njit(cache=True, nogil=True)
def _without(
    data: Bytes, bounds: Offsets, starts: Numbers, ends: Numbers, removed: npt.NDArray[np.bool_]
) -> tuple[Bytes, Offsets]:
    size = 0
    for passage in range(len(starts)):
        size += ends[passage] - starts[passage]
    kept = np.empty(size, np.uint8)
    offsets = np.zeros(len(bounds), np.int64)
    used = 0
    for text in range(len(bounds) - 1):
        first = used
        for passage in range(bounds[text], bounds[text + 1]):
            start, end = starts[passage], ends[passage]
            if removed[passage]:
                # What ended a line still does, unless the whole line went.
                start = end
                if used > first and kept[used - 1] != LINE_END:
                    while start > starts[passage] and data[start - 1] == LINE_END:
                        start -= 1
                    while start < end and used > first and kept[used - 1] == _BLANK:
                        used -= 1
            for at in range(start, end):
                kept[used] = data[at]
                used += 1
        if bounds[text + 1] > bounds[text] and removed[bounds[text + 1] - 1]:
            while used > first and (kept[used - 1] == LINE_END or kept[used - 1] == _BLANK):
                used -= 1
        offsets[text + 1] = used
    return kept[:used].copy(), offsets

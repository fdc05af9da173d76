"""Rows of bytes as Binary columns: hashes, signatures and document ids, all of one width each; and values in another order."""

from collections.abc import Iterable
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_INLINE: Final = 12  # bytes of a value that Arrow keeps in its view
_NOWHERE: Final = -1


def to_binary(name: str, rows: npt.NDArray[Any]) -> pl.Series:
    """Return a two-dimensional array as a Binary column, the bytes of a row a value."""
    count, width = len(rows), rows.shape[1] * rows.itemsize
    data = pa.py_buffer(np.ascontiguousarray(rows))
    array = pa.Array.from_buffers(pa.binary(width), count, [None, data])
    return pl.Series(name, array.cast(pa.large_binary()))


def from_binary(column: pl.Series, width: int) -> Bytes:
    """Return a Binary column of values of `width` bytes as an array (values, bytes): no copy where they lie in a row."""
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    _, views, *data = array.buffers()
    if width > _INLINE and len(data) == 1:
        starts = np.frombuffer(views, np.uint32).reshape(-1, 4)[array.offset :][: len(array), 3]
        if len(starts) and (np.diff(starts) == width).all():
            return np.frombuffer(data[0], np.uint8, width * len(array), starts[0]).reshape(-1, width)
    values, offsets = _buffers(column)
    return values[offsets[0] :][: width * len(column)].reshape(-1, width)


def reordered(name: str, parts: Iterable[pl.Series], rows: Numbers, sizes: pl.Series) -> pl.Series:
    """Return values of Binary columns that follow each other, in another order; their bytes lie in a row.

    Value i is that of row `rows[i]`, counted through all `parts`, and has `sizes[i]` bytes, null where it is null. No more
    than one part is in memory besides what is returned.
    """
    offsets = np.concatenate([[0], np.cumsum(sizes.fill_null(0).to_numpy(), dtype=np.int64)])
    places = np.full(int(rows.max(initial=-1)) + 1, _NOWHERE)  # of the value of each row
    places[rows] = offsets[:-1]
    data = np.empty(offsets[-1], np.uint8)
    first = 0
    for part in parts:
        _put(*_buffers(part), places[first : first + len(part)], data)
        first += len(part)
    valid = np.packbits(sizes.is_not_null().to_numpy(), bitorder="little")
    buffers = [pa.py_buffer(one) for one in (valid, offsets, data)]
    return pl.Series(name, pa.Array.from_buffers(pa.large_binary(), len(rows), buffers), pl.Binary)


def _buffers(column: pl.Series) -> tuple[Bytes, Numbers]:
    """Return the bytes of a Binary column and its n + 1 offsets."""
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_binary())
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    values = np.frombuffer(data if data is not None else b"", np.uint8)
    return values, bounds


@numba.njit(cache=True, nogil=True)
def _put(values: Bytes, offsets: Numbers, places: Numbers, data: Bytes) -> None:
    for row in range(len(places)):
        to = places[row]
        if to != _NOWHERE:
            for at in range(offsets[row], offsets[row + 1]):
                data[to] = values[at]
                to += 1

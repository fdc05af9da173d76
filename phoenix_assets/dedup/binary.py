"""Rows of bytes as Binary columns: hashes, signatures and document ids, all of one width each."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa


def to_binary(name: str, rows: npt.NDArray[Any]) -> pl.Series:
    """Return a two-dimensional array as a Binary column, the bytes of a row a value."""
    count, width = len(rows), rows.shape[1] * rows.itemsize
    data = pa.py_buffer(np.ascontiguousarray(rows))
    array = pa.Array.from_buffers(pa.binary(width), count, [None, data])
    return pl.Series(name, array.cast(pa.large_binary()))

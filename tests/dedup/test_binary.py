"""Binary columns: their values in another order, with their bytes in a row, and as arrays without a copy."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.binary import from_binary, reordered

PARTS = st.lists(st.lists(st.none() | st.binary(max_size=20), max_size=5), max_size=4)


@settings(deadline=None)  # the kernel is compiled first
@given(PARTS, st.randoms(use_true_random=False), st.integers(0, 20))
def test_values_come_in_the_order_that_is_asked_for(parts, random, count):
    values = [value for part in parts for value in part]
    rows = random.sample(range(len(values)), min(count, len(values)))
    columns = [pl.Series(part, dtype=pl.Binary) for part in parts]
    wanted = pl.Series("print", [values[row] for row in rows], dtype=pl.Binary)
    found = reordered("print", columns, np.array(rows, np.int64), wanted.bin.size())
    assert found.name == "print"
    assert found.to_list() == wanted.to_list()


@given(st.integers(1, 40), st.integers(0, 6), st.integers(0, 6))
def test_values_of_one_width_are_the_rows_of_an_array(width, count, first):
    values = [bytes([number]) * width for number in range(count)]
    column = pl.Series(values, dtype=pl.Binary)
    rows = from_binary(column[first:], width)
    assert [row.tobytes() for row in rows] == values[first:]
    both = pl.concat([column, column.reverse()])
    assert from_binary(both, width).tobytes() == b"".join([*values, *values[::-1]])


def test_values_that_lie_in_a_row_are_not_copied():
    columns = [pl.Series([b"a" * 16, b"b" * 16])]
    column = reordered("print", columns, np.array([1, 0]), pl.Series([16, 16]))
    assert np.shares_memory(from_binary(column, 16), from_binary(column[1:], 16))

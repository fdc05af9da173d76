"""A distribution in bins is the one of the values, however many there are."""

import math

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.figures import histograms as drawn
from phoenix_assets.histogram import Histogram, histograms


def binned(values: list[float | None]) -> Histogram:
    return histograms(pl.LazyFrame({"x": pl.Series(values, dtype=pl.Float64)}), {"x": pl.col("x")})["x"]


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=200))
def test_counts_are_those_of_numpy(values: list[int]):
    counts, edges = np.histogram(np.array(values, dtype=np.float64), bins=50)
    found = binned([float(value) for value in values])
    assert np.allclose(found.edges, edges)
    assert sum(found.counts) == len(values)
    # A value on an edge may fall on either side of it: the two compute edges in another order.
    assert np.abs(np.cumsum(found.counts) - np.cumsum(counts)).max() <= max(map(values.count, values))


def test_null_and_infinite_values_are_left_out():
    found = binned([None, math.inf, -math.inf, math.nan, 1.0, 2.0])
    assert (found.low, found.high, sum(found.counts)) == (1.0, 2.0, 2)


def test_no_values_and_one_value_have_a_range_too():
    assert (binned([]).low, binned([]).high, sum(binned([]).counts)) == (0.0, 1.0, 0)
    assert (binned([3.0]).low, binned([3.0]).high) == (2.5, 3.5)


def test_a_distribution_is_drawn():
    assert drawn({"x": binned([1.0, 2.0, 2.0])}, {"x": 1.5}, title="x").startswith(b"\x89PNG")

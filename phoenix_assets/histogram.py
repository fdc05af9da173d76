"""How values are distributed, as counts of equal bins: a column of any length becomes a few numbers, in two passes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

_BINS: Final = 50  # as many as a small picture can show


@dataclass(frozen=True)
class Histogram:
    """Counts of values in equal bins from `low` to `high`."""

    low: float
    high: float
    counts: tuple[int, ...]

    @property
    def edges(self) -> list[float]:
        """The bins' edges, one more than there are bins."""
        width = (self.high - self.low) / len(self.counts)
        return [self.low + width * place for place in range(len(self.counts) + 1)]


def histograms(rows: pl.LazyFrame, values: Mapping[str, pl.Expr]) -> dict[str, Histogram]:
    """Return the distribution of each named expression over `rows`; null and infinite values are in none."""
    finite = rows.select(pl.when(value.is_finite()).then(value).alias(name) for name, value in values.items())
    low = pl.all().min().name.prefix("low ")
    high = pl.all().max().name.prefix("high ")
    found = finite.select(low, high).collect(engine="streaming").row(0, named=True)
    ranges = {name: _range(found[f"low {name}"], found[f"high {name}"]) for name in values}
    counted = (
        finite.select(_bin(name, *ranges[name]) for name in values)
        .unpivot()
        .drop_nulls()
        .group_by("variable", "value")
        .agg(pl.len())
        .collect(engine="streaming")
    )
    counts = {(name, place): count for name, place, count in counted.iter_rows()}
    return {
        name: Histogram(*ranges[name], tuple(counts.get((name, place), 0) for place in range(_BINS)))
        for name in values
    }


def _range(low: float | None, high: float | None) -> tuple[float, float]:
    if low is None or high is None:
        return 0.0, 1.0
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def _bin(name: str, low: float, high: float) -> pl.Expr:
    share = (pl.col(name) - low) / (high - low)
    return (share * _BINS).floor().clip(0, _BINS - 1).cast(pl.Int32)

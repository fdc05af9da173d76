"""Prints of a text: salted hashes of windows of its folded letters and digits, by which it is known again anywhere.

White space, punctuation, case, width and markup between words don't count, so a text is known after normalisation, in
HTML and in JSON as well. A window's hash is Karp and Rabin's polynomial over its bytes, mixed with the salt; a text's
prints are those with the smallest values, so any copy of a passage has its share of them.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.dedup.shingles import batches, folded_text, mix

Hashes = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

_BASE: Final = 0x9E3779B97F4A7C15
_FILTER_BITS: Final = 20


class PrintConfig(Config):
    """`config/erasure.yaml`."""

    window_bytes: int = Field(ge=8)
    prints_per_text: int = Field(ge=1)
    block_bytes: int = Field(ge=1 << 16)


def load_prints() -> PrintConfig:
    """Return `config/erasure.yaml`."""
    return load(PrintConfig, config_dir() / "erasure.yaml")


def prints(texts: pl.Series, salt: int, config: PrintConfig) -> pl.Series:
    """Return the prints of each text of a String column, ascending; none for one shorter than a window."""
    parts = [pl.Series("prints", [], dtype=pl.List(pl.Int64))]
    for _, some in batches(texts):
        data, ends = folded_text(some)
        values = np.empty(len(some) * config.prints_per_text, np.int64)
        bounds = np.zeros(len(some) + 1, np.int64)
        _least(data, ends, config.window_bytes, salt, config.prints_per_text, values, bounds)
        rows = np.repeat(np.arange(len(some)), np.diff(bounds))
        listed = pl.DataFrame({"row": rows, "prints": values[: bounds[-1]]}).group_by("row").agg("prints")
        every = pl.DataFrame({"row": np.arange(len(some))}).join(
            listed, on="row", how="left", maintain_order="left"
        )
        parts.append(every["prints"].fill_null([]).list.sort())
    return pl.concat(parts)


class Lookout:
    """Looks for some prints in texts."""

    def __init__(self, wanted: pl.Series, salt: int, config: PrintConfig) -> None:
        self.wanted: Hashes = np.unique(wanted.to_numpy())
        self._salt, self._window = salt, config.window_bytes
        self._filter = np.zeros(1 << _FILTER_BITS, np.bool_)
        self._filter[self.wanted & ((1 << _FILTER_BITS) - 1)] = True

    def found(self, texts: pl.Series) -> tuple[npt.NDArray[np.int32], Hashes]:
        """Return how many windows of each text are wanted, and the prints that were found."""
        counts = np.zeros(len(texts), np.int32)
        hit = np.zeros(len(self.wanted), np.bool_)
        if len(self.wanted):
            for first, some in batches(texts):
                data, ends = folded_text(some)
                _search(data, ends, self._window, self._salt, self.wanted, self._filter, counts[first:], hit)
        return counts, self.wanted[hit]


@numba.njit(cache=True, nogil=True)
def _power(window: int) -> np.uint64:
    power = np.uint64(1)
    for _ in range(window):
        power *= np.uint64(_BASE)
    return power


@numba.njit(cache=True, nogil=True)
def _windows(data: Bytes, start: int, end: int, window: int, salt: int, values: Hashes) -> None:
    power, rolling = _power(window), np.uint64(0)
    for at in range(start, end):
        rolling = rolling * np.uint64(_BASE) + np.uint64(data[at] + 1)
        if at >= start + window:
            rolling -= np.uint64(data[at - window] + 1) * power
        if at >= start + window - 1:
            values[at - start - window + 1] = np.int64(mix(rolling ^ np.uint64(salt)))


@numba.njit(cache=True, nogil=True)
def _least(
    data: Bytes, ends: Offsets, window: int, salt: int, most: int, values: Hashes, bounds: Offsets
) -> None:
    written = 0
    for text in range(len(ends) - 1):
        count = ends[text + 1] - ends[text] - window + 1
        if count > 0:
            own = np.empty(count, np.int64)
            _windows(data, ends[text], ends[text + 1], window, salt, own)
            own = np.unique(own)[:most]
            values[written : written + len(own)] = own
            written += len(own)
        bounds[text + 1] = written


@numba.njit(cache=True, nogil=True)
def _search(
    data: Bytes,
    ends: Offsets,
    window: int,
    salt: int,
    wanted: Hashes,
    known: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int32],
    hit: npt.NDArray[np.bool_],
) -> None:
    power = _power(window)
    for text in range(len(ends) - 1):
        start, rolling = ends[text], np.uint64(0)
        for at in range(start, ends[text + 1]):
            rolling = rolling * np.uint64(_BASE) + np.uint64(data[at] + 1)
            if at >= start + window:
                rolling -= np.uint64(data[at - window] + 1) * power
            if at < start + window - 1:
                continue
            value = np.int64(mix(rolling ^ np.uint64(salt)))
            if known[value & (len(known) - 1)]:
                place = np.searchsorted(wanted, value)
                if place < len(wanted) and wanted[place] == value:
                    counts[text] += 1
                    hit[place] = True

"""Mixtures to try: weight vectors drawn from Dirichlet distributions, or the points of a grid.

As in RegMix (Liu et al. 2024, arXiv:2407.01492): the distributions' mean is the mixture as it is, with a temperature,
their concentration varies, and a draw that uses a component too often is drawn again.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.errors import ConfigError
from phoenix_assets.search.config import Samples, Search

KERNEL_VERSION: Final = "1"

Weights = npt.NDArray[np.float64]  # (mixtures, components), or one mixture's

SAMPLES: Final = pl.Schema(
    {
        "sample": pl.Int64,  # 0: the mixture as it is
        "component": pl.String,
        "varied": pl.Boolean,
        "weight": pl.Float64,  # share of the training tokens
    }
)

_BLOCK: Final = 4096  # mixtures drawn at once: of a fixed size, so that more samples begin with the same ones
_BLOCKS: Final = 1000


def sample_mixtures(tokens: Mapping[str, int], search: Search) -> pl.DataFrame:
    """Return SAMPLES: the mixture as it is, then those to try, each with all components.

    `tokens` are the training tokens of each component of the mixture. Raises ConfigError for a component that is to
    vary and has none.
    """
    if empty := [name for name in search.components if not tokens.get(name)]:
        raise ConfigError(
            f"component {empty[0]!r} has no training tokens in {search.mixture}; leave it out of the search"
        )
    names = list(tokens)
    now = np.array(list(tokens.values()), dtype=np.float64)
    now /= now.sum()
    own = np.array([names.index(name) for name in search.components])
    share = now[own].sum()
    drawn = sampled(now[own] / share, search.samples)
    weights = np.tile(now, (len(drawn) + 1, 1))
    weights[1:, own] = share * drawn
    return pl.DataFrame(
        {
            "sample": np.repeat(np.arange(len(weights)), len(names)),
            "component": names * len(weights),
            "varied": np.tile(np.isin(np.arange(len(names)), own), len(weights)),
            "weight": weights.reshape(-1),
        },
        schema=SAMPLES,
    )


def sampled(shares: Weights, samples: Samples) -> Weights:
    """Return the mixtures to try of components that have `shares` (which sum to 1) now."""
    if samples.grid is None:
        assert samples.number is not None  # noqa: S101 - samples have one of the two
        return dirichlet(shares, samples, samples.number)
    return grid(shares, samples, samples.grid)


def dirichlet(shares: Weights, samples: Samples, number: int, *, stream: int = 0) -> Weights:
    """Return `number` mixtures, each a row that sums to 1; other streams of one seed share no chance.

    Raises ConfigError when `max_usage` forbids nearly every draw.
    """
    chance = np.random.default_rng([samples.seed, stream])
    mean = shares**samples.temperature / (shares**samples.temperature).sum()
    low, high = np.log(samples.concentration)
    kept: list[Weights] = []
    for _ in range(_BLOCKS):
        concentration = np.exp(chance.uniform(low, high, (_BLOCK, 1)))
        drawn = chance.standard_gamma(concentration * mean)
        total = drawn.sum(axis=1, keepdims=True)
        drawn = np.divide(drawn, total, where=total > 0, out=np.full_like(drawn, np.inf))
        kept.append(drawn[_allowed(drawn, shares, samples)])
        if sum(map(len, kept)) >= number:
            return np.concatenate(kept)[:number]
    raise ConfigError(
        f"of {_BLOCKS * _BLOCK} mixtures only {sum(map(len, kept))} use no component more than "
        f"{samples.max_usage:g} times as much as now; raise max_usage or the concentration"
    )


def grid(shares: Weights, samples: Samples, steps: int) -> Weights:
    """Return every mixture whose weights are multiples of 1/steps. Raises ConfigError when none is allowed."""
    parts = len(shares)
    bars = np.array(list(combinations(range(steps + parts - 1), parts - 1)), dtype=np.int64)
    edges = np.pad(bars, ((0, 0), (1, 1)), constant_values=((0, 0), (-1, steps + parts - 1)))
    points = (np.diff(edges, axis=1) - 1) / steps
    allowed = points[_allowed(points, shares, samples)]
    if not len(allowed):
        raise ConfigError(
            f"every point of the grid uses some component more than {samples.max_usage:g} times as much as now; "
            "raise max_usage or grid"
        )
    return allowed


def _allowed(mixtures: Weights, shares: Weights, samples: Samples) -> npt.NDArray[np.bool_]:
    allowed: npt.NDArray[np.bool_]
    allowed = np.all(mixtures <= np.minimum(samples.max_usage * shares, 1), axis=1)
    return allowed


def apportion(weights: Weights, total: int) -> npt.NDArray[np.int64]:
    """Return whole numbers that sum to `total`, in proportion to `weights` (largest remainders)."""
    exact = weights / weights.sum() * total
    whole: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    largest = np.argsort(whole - exact, kind="stable")[: total - int(whole.sum())]
    whole[largest] += 1
    return whole

"""Amounts: how many copies of a document each component takes, settled from sums over all documents.

The documents come in batches, as often as asked for: what is kept of them is a row of sums a component, and under a cap
`_BINS` rows. A recipe without weights, caps and replay is settled without looking at a document.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.mix.assign import SPLIT, Replayed, Split, assign, by_part, copies
from phoenix_assets.mix.config import Mixture, Replay

KERNEL_VERSION: Final = "1"

Batches = Callable[[], Iterable[pl.DataFrame]]  # CANDIDATE frames: the same documents at every call

_BINS: Final = 1 << 16  # a cap is met to within the tokens of one bin of u, and a document
_BISECTIONS: Final = 50
_MEASURED: Final = pl.Schema(
    {
        "component": pl.UInt16,  # index into the recipe's parts
        "part": pl.UInt16,  # index into the parts of the replayed mixture, null where it has none
        "bin": pl.UInt32,  # of u; 0 where the component has no cap
        "tokens": pl.Int64,  # of one copy of each training document
        "taken": pl.Int64,  # of the copies by rate or replay, the cap aside
    }
)


@dataclass(frozen=True)
class Cap:
    """The copies that a cap leaves room for: `passes` of every document, and one more of those with u < `below`."""

    passes: int
    below: float


@dataclass(frozen=True)
class Amounts:
    """What a mixture takes: expected copies of a document by component, caps, and what the replay takes."""

    epochs: Mapping[str, float]
    caps: Mapping[str, Cap] = field(default_factory=dict)
    replayed: Replayed | None = None
    effective: Mapping[str, float] = field(
        default_factory=dict
    )  # tokens taken over tokens there are, by part


def settle(batches: Batches, recipe: Mixture) -> Amounts:
    """Return what `recipe` takes of the documents.

    A weight is a share of the training tokens. Next to components with a rate, the total T follows from their tokens: T
    = rated / (1 - sum of weights). Without them T is the largest total that no component's max_epochs or cap forbids.
    A component that cannot reach its share stays below it; one without documents takes nothing.
    """
    rated = _rated(recipe)
    capped = any(part.cap_tokens for part in recipe.components.values())
    if len(rated) == len(recipe.components) and recipe.replay is None and not capped:
        return Amounts(rated)
    return _settled(batches, recipe)


def _settled(batches: Batches, recipe: Mixture) -> Amounts:
    replayed = None if recipe.replay is None else _replayed(batches, recipe, recipe.replay)
    measured = _measured(batches, recipe, replayed)
    names = list(recipe.parts)
    tokens, taken = (_by_name(measured, column, names) for column in ("tokens", "taken"))
    caps = {
        name: _cap(measured.filter(component=number), part.cap_tokens)
        for number, (name, part) in enumerate(recipe.components.items())
        if part.cap_tokens is not None
    }
    taken |= {
        name: min(taken[name], part.cap_tokens or taken[name]) for name, part in recipe.components.items()
    }
    epochs = _rated(recipe)
    for name, wanted in _weighted(recipe, tokens, sum(taken.values())).items():
        epochs[name] = wanted / tokens[name]
        taken[name] = min(wanted, recipe.components[name].cap_tokens or wanted)
    effective = {name: taken[name] / tokens[name] for name in names if tokens[name]}
    return Amounts(epochs, caps, replayed, effective)


def _rated(recipe: Mixture) -> dict[str, float]:
    return {name: part.epochs for name, part in recipe.components.items() if part.epochs is not None}


def _weighted(recipe: Mixture, tokens: Mapping[str, float], rated: float) -> dict[str, float]:
    """Return the training tokens that each component with a weight is to have, `rated` being those of all others."""
    weights = {name: part.weight for name, part in recipe.components.items() if part.weight is not None}
    most = {name: recipe.components[name].max_epochs * tokens[name] for name in weights if tokens[name]}
    if not most:
        return {}
    if rated:
        total = rated / (1 - sum(weights.values()))
    else:
        total = min(
            min(most[name], recipe.components[name].cap_tokens or most[name]) / weights[name] for name in most
        )
    return {name: min(total * weights[name], most[name]) for name in most}


def _cap(rows: pl.DataFrame, cap_tokens: int) -> Cap:
    by_bin = rows.group_by("bin").agg(pl.col("tokens").sum()).sort("bin")
    available = int(by_bin["tokens"].sum())
    if not available:
        return Cap(0, 1.0)
    passes, rest = divmod(cap_tokens, available)
    beyond = by_bin.filter(pl.col("tokens").cum_sum() > rest)
    return Cap(passes, beyond["bin"][0] / _BINS)


def _replayed(batches: Batches, recipe: Mixture, replay: Replay) -> Replayed:
    """Return what the replay takes: by its rate, or as much as its weight asks for."""
    earlier = _settled(batches, replay.recipe)
    rate = replay.rate
    if replay.weight is not None:
        measured = _measured(batches, recipe, Replayed({}, earlier.replayed))
        rate = _rate_of_weight(
            measured, recipe, replay.weight, by_part(earlier.effective, replay.recipe, 0.0)
        )
    assert rate is not None  # noqa: S101 - a replay has one of the two
    return Replayed({name: rate * epochs for name, epochs in earlier.effective.items()}, earlier.replayed)


def _rate_of_weight(
    measured: pl.DataFrame, recipe: Mixture, weight: float, epochs: npt.NDArray[np.float64]
) -> float:
    """Return the rate at which the replay gets its weight; at most 1.

    `measured` is what there is without a replay, `epochs` what the earlier mixture takes of each of its parts. The
    more is replayed, the less is left to the mixture's own components: the rate is searched by bisection.
    """
    sums = (
        measured.group_by("component", "part").agg(pl.col("tokens", "taken").sum()).sort("component", "part")
    )
    passes = np.append(epochs, 0.0)[sums["part"].fill_null(len(epochs)).to_numpy()]
    replayable = float(sums["tokens"].to_numpy() @ passes)
    weights = {name: part.weight for name, part in recipe.components.items() if part.weight is not None}

    def lacks(rate: float) -> bool:
        left = np.clip(1 - rate * passes, 0, None)
        rest = sums.with_columns(pl.col("tokens") * pl.Series(left), pl.col("taken") * pl.Series(left))
        tokens, taken = (_by_name(rest, column, list(recipe.parts)) for column in ("tokens", "taken"))
        rated = sum(
            min(taken[name], recipe.components[name].cap_tokens or taken[name]) for name in _rated(recipe)
        )
        if rated:
            total = rated / (1 - sum(weights.values()) - weight)
        else:
            wanted = _weighted(recipe, tokens, 0)
            total = min((wanted[name] / weights[name] for name in wanted), default=0)
        return rate * replayable < weight * total

    low, high = 0.0, 1.0
    if lacks(high):
        return high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if lacks(middle) else (low, middle)
    return high


def _measured(batches: Batches, recipe: Mixture, replayed: Replayed | None) -> pl.DataFrame:
    measured = _MEASURED.to_frame()
    for documents in batches():
        measured = pl.concat([measured, _sums(documents, recipe, replayed)])
        measured = measured.group_by("component", "part", "bin").agg(pl.col("tokens", "taken").sum())
    return measured


def _sums(documents: pl.DataFrame, recipe: Mixture, replayed: Replayed | None) -> pl.DataFrame:
    """Return _MEASURED rows of some documents."""
    rows = assign(documents, recipe, replayed).filter(pl.col("split") == pl.lit(Split.TRAIN.value, SPLIT))
    number = rows["component"]
    epochs = pl.Series(by_part(_rated(recipe), recipe, 0.0)).gather(number)
    capped = pl.Series([part.cap_tokens is not None for part in recipe.parts.values()]).gather(number)
    own = number < len(recipe.components)
    taken = pl.when(pl.lit(own)).then(copies(pl.lit(epochs), pl.col("u"))).otherwise("replays")
    return (
        rows.select(
            "component",
            "part",
            bin=pl.when(pl.lit(own & capped)).then((pl.col("u") * _BINS).cast(pl.UInt32)).otherwise(0),
            tokens="tokens",
            taken=taken * pl.col("tokens"),
        )
        .group_by("component", "part", "bin")
        .agg(pl.col("tokens", "taken").sum())
        .select(pl.col(name).cast(dtype) for name, dtype in _MEASURED.items())
    )


def _by_name(measured: pl.DataFrame, column: str, names: list[str]) -> dict[str, float]:
    sums = dict(measured.group_by("component").agg(pl.col(column).sum()).iter_rows())
    return {name: sums.get(number, 0) for number, name in enumerate(names)}

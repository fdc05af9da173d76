"""Assignment: the component and the split of each document, and its number `u`, all from the document alone.

The steps share no chance with each other: held-out and then validation documents are carved by hash, whatever the
amounts are; of the others the replay takes its share; the first component whose conditions hold takes what is left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets import draw
from phoenix_assets.mix.config import Component, Mixture, Replay

KERNEL_VERSION: Final = "1"

CANDIDATE: Final = pl.Schema(
    {
        "doc_id": pl.String(),
        "source": pl.String(),
        "delivery": pl.String(),
        "lang": pl.String(),
        "tags": pl.List(pl.String()),
        "quality": pl.Float64(),  # null where not scored
        "safety": pl.String(),  # "" without a label
        "chars": pl.Int64(),  # of the text
        "bytes": pl.Int64(),  # of the text, in UTF-8
    }
)


class Split(StrEnum):
    """What a document of the mixture is for; `none` means that it is not in the mixture."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELDOUT = "heldout"
    NONE = "none"


SPLIT: Final = pl.Enum([split.value for split in Split])


@dataclass(frozen=True)
class Replayed:
    """How often the replay takes documents: expected copies by the replayed mixture's parts, after its own replay."""

    epochs: Mapping[str, float]
    below: "Replayed | None" = None


def assign(documents: pl.DataFrame, recipe: Mixture, replayed: Replayed | None) -> pl.DataFrame:
    """Return what is decided of each row of `documents` (CANDIDATE, at least `columns`), in the same order.

    Columns: `component` (index into `recipe.parts`, null for none), `fits` (whether only its quality keeps it out of one),
    `split` (before sampling), `tokens` (estimated, of one copy), `u` (in [0, 1), by which components sample), `part`
    (the replayed mixture's own component) and `replays` (copies that the replay takes). Raises LineageError for a
    doc_id that is none.
    """
    doc_ids = draw.words(documents["doc_id"])
    heldout = draw.uniform(doc_ids, salt="heldout", seed=recipe.heldout.seed) < recipe.heldout.fraction
    validation = (
        draw.uniform(doc_ids, salt="validation", seed=recipe.validation.seed) < recipe.validation.fraction
    )
    own = _owned(documents, recipe).with_columns(
        tokens=(documents["bytes"] / recipe.bytes_per_token).ceil().cast(pl.Int64),
        u=draw.uniform(doc_ids, salt="sample", seed=recipe.seed),
        part=pl.lit(None, pl.UInt16),
        replays=pl.lit(0, pl.Int32),
        aside=pl.when(heldout)
        .then(pl.lit(Split.HELDOUT.value, SPLIT))
        .when(validation)
        .then(pl.lit(Split.VALIDATION.value, SPLIT))
        .otherwise(pl.lit(Split.TRAIN.value, SPLIT)),
    )
    if recipe.replay is not None and replayed is not None:
        own = _with_replay(own, documents, recipe, recipe.replay, replayed)
    nowhere = pl.lit(Split.NONE.value, SPLIT)
    return own.with_columns(
        split=pl.when(pl.col("component").is_null()).then(nowhere).otherwise("aside")
    ).drop("aside")


def columns(recipe: Mixture) -> list[str]:
    """Return the columns of CANDIDATE that `recipe` decides by, and those that a selection hands on."""
    parts = recipe.parts.values()
    asked = {
        "tags": any(part.tags for part in parts),
        "quality": any(part.min_quality is not None for part in parts),
        "safety": any(part.exclude_safety for part in parts),
    }
    return [name for name in CANDIDATE if asked.get(name, True)]


def by_part(values: Mapping[str, float], recipe: Mixture, default: float) -> npt.NDArray[np.float64]:
    """Return the value of each of the recipe's parts, in their order."""
    return np.array([values.get(name, default) for name in recipe.parts], dtype=np.float64)


def copies(epochs: pl.Expr, u: pl.Expr) -> pl.Expr:
    """Return how often a document is taken: copy k (from 0) of a document is, when k + u < epochs.

    More epochs therefore only add copies, never exchange them.
    """
    return (epochs - u).ceil().clip(lower_bound=0).cast(pl.Int32)


def meets(part: Component) -> pl.Expr:
    """Whether a document meets all of the component's conditions."""
    return _fits(part) & _good_enough(part)


def _owned(documents: pl.DataFrame, recipe: Mixture) -> pl.DataFrame:
    """Return the first of the recipe's own components that each document meets, and whether it meets one but for quality."""
    parts = list(recipe.components.values())
    fits = documents.select(_fits(part).alias(str(number)) for number, part in enumerate(parts))
    good = [pl.col(str(number)) & _good_enough(part) for number, part in enumerate(parts)]
    return pl.concat([fits, documents.select(pl.col("^quality$"))], how="horizontal").select(
        component=pl.coalesce(
            pl.when(fit).then(pl.lit(number, pl.UInt16)) for number, fit in enumerate(good)
        ),
        fits=pl.any_horizontal(str(number) for number in range(len(parts))),
    )


def _with_replay(
    own: pl.DataFrame, documents: pl.DataFrame, recipe: Mixture, replay: Replay, replayed: Replayed
) -> pl.DataFrame:
    """Give the replay what it takes, and what no component of the mixture's own wants."""
    part = assign(documents, replay.recipe, replayed.below)["component"]
    epochs = pl.Series(by_part(replayed.epochs, replay.recipe, 0.0)).gather(part)
    u = draw.uniform(documents["doc_id"], salt=f"replay/{replay.mixture}", seed=recipe.seed)
    training = pl.col("aside") == pl.lit(Split.TRAIN.value, SPLIT)
    as_own = (pl.col("part") + len(recipe.components)).cast(pl.UInt16)
    return (
        own.with_columns(part=part)
        .with_columns(
            replays=pl.when(training).then(copies(pl.lit(epochs), pl.lit(u))).otherwise(0).fill_null(0)
        )
        .with_columns(
            component=pl.when(pl.col("replays") > 0).then(as_own).otherwise(pl.coalesce("component", as_own))
        )
    )


def _fits(part: Component) -> pl.Expr:
    """Whether a document meets the component's conditions, its quality aside."""
    conditions = [pl.col("source").is_in(part.sources)]
    if part.languages is not None:
        conditions.append(pl.col("lang").is_in(part.languages))
    if part.deliveries is not None:
        conditions.append(pl.col("delivery").is_in(part.deliveries))
    if part.exclude_safety is not None:
        conditions.append(~pl.col("safety").is_in(part.exclude_safety))
    conditions.extend(pl.col("tags").list.contains(tag) for tag in part.tags or ())
    return pl.all_horizontal(conditions).fill_null(False)


def _good_enough(part: Component) -> pl.Expr:
    if part.min_quality is None:
        return pl.lit(True)
    return (pl.col("quality") >= part.min_quality).fill_null(False)

"""Scores of documents that were judged already: how many a bound would choose, counted as the scores come in."""

from collections.abc import Iterable
from typing import Final

import polars as pl

from phoenix_assets.clean.profiles import Bounds
from phoenix_assets.clean.threshold_study import Axis, within

KERNEL_VERSION: Final = "1"

SCORED: Final = pl.Schema(
    {
        "doc_id": pl.String(),
        "source": pl.String(),
        "delivery": pl.String(),
        "lang": pl.String(),
        "reason": pl.String(),  # why it was dropped, "success" when it was kept
        "score": pl.Float64(),  # null where the model knows nothing about the language
        "chosen": pl.Boolean(),  # the score is within the bounds that were asked for
    }
)
_KEYS: Final = ["reason", "bin", "chosen"]


def scored(judged: pl.DataFrame, score: pl.Series, bounds: Bounds) -> pl.DataFrame:
    """Return SCORED rows of documents (doc_id, source, delivery, lang, reason) and their scores, in the same order."""
    known = pl.col("score").is_not_null() & within(pl.col("score"), bounds)
    return (
        judged.with_columns(score=score.cast(pl.Float64)).with_columns(chosen=known).match_to_schema(SCORED)
    )


def tally_scores(rows: pl.DataFrame, axis: Axis) -> pl.DataFrame:
    """Count SCORED rows by reason, bin (null: no score) and whether they are chosen."""
    binned = rows.with_columns(bin=axis.bin_of(pl.col("score")))
    return binned.group_by(_KEYS).agg(documents=pl.len().cast(pl.Int64))


def added(tallies: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the sum of tallies, sorted; it does not depend on how the documents were divided."""
    return pl.concat(tallies).group_by(_KEYS).agg(pl.col("documents").sum()).sort(_KEYS)


def drawn(*rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return `count` of the chosen rows. doc_ids are hashes: the smallest are a draw, the same however rows come in."""
    return pl.concat(rows).filter("chosen").sort("doc_id").head(count)

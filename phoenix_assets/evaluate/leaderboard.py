"""The leaderboard: each run's newest checkpoint beside its parent's, and each metric over the tokens seen."""

from collections.abc import Mapping
from typing import Final

import polars as pl

KERNEL_VERSION: Final = "2"

METRICS: Final = ("recall_top1", "recall_top5", "bits_per_char", "perplexity")
PER_CHARACTER: Final = frozenset({"bits_per_char"})  # the others depend on how a tokenizer cuts the text


def ranking(
    scores: pl.DataFrame, parents: Mapping[str, str | None], tokenizers: Mapping[str, str]
) -> pl.DataFrame:
    """Return one row a run and language: the newest checkpoint's metrics and their change against the parent's.

    `scores` has experiment, lang, step, tokens_seen and METRICS, a row per checkpoint and language. Beside a parent with
    another tokenizer only metrics by the character have a change.
    """
    columns = ["experiment", "lang", "step", "tokens_seen", *METRICS]
    newest = scores.sort("step").unique(["experiment", "lang"], keep="last").select(columns)
    parent_of = pl.DataFrame(
        [
            (name, parent, tokenizers.get(parent or "") == tokenizers[name])
            for name, parent in parents.items()
        ],
        schema={"experiment": pl.String, "parent": pl.String, "alike": pl.Boolean},
        orient="row",
    )
    beside = newest.select(pl.col("experiment").alias("parent"), "lang", *METRICS)
    joined = newest.join(parent_of, on="experiment", how="left").join(
        beside, on=["parent", "lang"], how="left", suffix="_parent"
    )
    changes = [
        pl.when(pl.col("alike") | (name in PER_CHARACTER))
        .then(pl.col(name) - pl.col(f"{name}_parent"))
        .alias(f"{name}_change")
        for name in METRICS
    ]
    return joined.select(*columns, "parent", *changes).sort(["lang", "recall_top1"], descending=[False, True])


def curves(scores: pl.DataFrame) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """Return metric → "run, language" → (tokens seen, value), ascending by tokens."""
    ordered = scores.sort("experiment", "lang", "tokens_seen")
    return {
        metric: {
            f"{run}, {lang}": (rows["tokens_seen"].to_list(), rows[metric].to_list())
            for (run, lang), rows in ordered.group_by(["experiment", "lang"], maintain_order=True)
        }
        for metric in METRICS
    }

"""The same selection written plainly in Polars: one frame of all documents, its own hash, a sort for the caps."""

from typing import Any

import polars as pl

from bench.ours.mix_selection import prepare, report
from phoenix_assets.mix.assign import meets
from phoenix_assets.mix.config import Mixture
from phoenix_assets.mix.plan import counted

__all__ = ["prepare", "report", "run"]


def run(state: dict[str, Any]) -> pl.DataFrame:
    """Return the COUNTS of the selection."""
    recipe: Mixture = state["recipe"]
    rows = _assigned(pl.scan_parquet(state["path"]), recipe)
    training = pl.col("split") == "train"
    rated = [
        pl.when(component=name).then(part.epochs)
        for name, part in recipe.components.items()
        if part.epochs is not None
    ]
    capped = [
        pl.when(component=name).then(part.cap_tokens)
        for name, part in recipe.components.items()
        if part.cap_tokens
    ]
    up_to_here = pl.col("est_tokens").cum_sum().over("component", order_by=["u", "doc_id"])
    rows = rows.with_columns(
        epochs=pl.coalesce(rated), cap=pl.coalesce(*capped, pl.lit(2**62, pl.Int64))
    ).with_columns(
        copies=pl.when(training & (up_to_here <= pl.col("cap"))).then(
            (pl.col("epochs") - pl.col("u")).ceil().clip(0)
        )
    )
    sums = (
        rows.filter(training)
        .group_by("component")
        .agg(pl.col("est_tokens").sum(), taken=(pl.col("copies") * pl.col("est_tokens")).sum())
    )
    tokens, taken = (dict(sums.select("component", name).iter_rows()) for name in ("est_tokens", "taken"))
    weights = {name: part.weight for name, part in recipe.components.items() if part.weight is not None}
    total = sum(taken.values()) / (1 - sum(weights.values()))
    weighted = [
        pl.when(component=name).then(min(total * weight / tokens[name], recipe.components[name].max_epochs))
        for name, weight in weights.items()
    ]
    chosen = rows.with_columns(epochs=pl.coalesce("epochs", *weighted)).with_columns(
        copies=pl.coalesce("copies", (pl.col("epochs") - pl.col("u")).ceil().clip(0))
    )
    return counted(
        chosen.with_columns(
            split=pl.when(~training | (pl.col("copies") > 0)).then("split").otherwise(pl.lit("none"))
        )
    )


def _assigned(documents: pl.LazyFrame, recipe: Mixture) -> pl.DataFrame:
    """Return the component, the split and the number of each document."""

    def drawn(seed: int) -> pl.Expr:
        return pl.col("doc_id").hash(seed) * 2.0**-64

    parts = recipe.components.items()
    return documents.select(
        "doc_id",
        component=pl.coalesce(pl.when(meets(part)).then(pl.lit(name)) for name, part in parts),
        split=pl.when(drawn(1) < recipe.heldout.fraction)
        .then(pl.lit("heldout"))
        .when(drawn(2) < recipe.validation.fraction)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train")),
        est_tokens=(pl.col("bytes") / recipe.bytes_per_token).ceil().cast(pl.Int64),
        u=drawn(3),
    ).collect()

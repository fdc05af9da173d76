"""The plan of a mixture: what each component brings, before anything is tokenised."""

from typing import Final

import polars as pl

from phoenix_assets.mix.assign import Split
from phoenix_assets.mix.config import Mixture

COUNTS: Final = pl.Schema(
    {
        "component": pl.String(),
        "available_documents": pl.Int64(),  # that fit the component, whatever became of them; of a replay: that no other one wants
        "documents": pl.Int64(),  # distinct documents for training
        "validation_documents": pl.Int64(),
        "heldout_documents": pl.Int64(),
        "available_tokens": pl.Int64(),  # estimated tokens of one pass over all that was not set aside
        "tokens": pl.Int64(),  # estimated training tokens, repeats counted
    }
)
PLAN: Final = pl.Schema(
    {
        **COUNTS,
        "epochs": pl.Float64(),  # tokens / available_tokens
        "share": pl.Float64(),  # of the mixture's training tokens
        "weight": pl.Float64(),  # the share that the recipe asks for, null where it asks for none
    }
)


def counted(selection: pl.DataFrame) -> pl.DataFrame:
    """Return one COUNTS row per component of some documents of a selection (schema `select.SELECTION`)."""
    split, tokens = pl.col("split"), pl.col("est_tokens")
    training = split == Split.TRAIN.value
    aside = split.is_in([Split.VALIDATION.value, Split.HELDOUT.value])
    return (
        selection.filter(pl.col("component").is_not_null())
        .group_by("component")
        .agg(
            available_documents=pl.len(),
            documents=training.sum(),
            validation_documents=(split == Split.VALIDATION.value).sum(),
            heldout_documents=(split == Split.HELDOUT.value).sum(),
            available_tokens=tokens.filter(~aside).sum(),
            tokens=(tokens * pl.col("copies")).filter(training).sum(),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in COUNTS.items())
    )


def plan(counts: pl.DataFrame, recipe: Mixture) -> pl.DataFrame:
    """Return one PLAN row per component of `recipe`, in its order, from the COUNTS of all its documents."""
    asked = pl.DataFrame(
        {"component": list(recipe.parts), "weight": [part.weight for part in recipe.parts.values()]},
        schema_overrides={"weight": pl.Float64},
    )
    own = pl.col("component").is_in(list(recipe.components))
    return (
        asked.with_columns(weight=pl.when(own).then("weight"))
        .join(counts.group_by("component").sum(), on="component", how="left", maintain_order="left")
        .with_columns(pl.col(name).fill_null(0) for name in COUNTS if name != "component")
        .with_columns(
            epochs=_ratio(pl.col("tokens"), pl.col("available_tokens")),
            share=_ratio(pl.col("tokens"), pl.col("tokens").sum()),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in PLAN.items())
    )


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole).otherwise(0.0)

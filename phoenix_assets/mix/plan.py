"""The plan of a mixture: what each component brings, before anything is tokenised."""

from typing import Final

import polars as pl

from phoenix_assets.mix.select import Split

PLAN: Final = pl.Schema(
    {
        "component": pl.String,
        "available_documents": pl.Int64,  # documents that fit the component, whatever became of them
        "documents": pl.Int64,  # distinct documents for training
        "validation_documents": pl.Int64,
        "heldout_documents": pl.Int64,
        "available_tokens": pl.Int64,  # estimated tokens of one pass over all that was not set aside
        "tokens": pl.Int64,  # estimated training tokens, repeats counted
        "epochs": pl.Float64,  # tokens / available_tokens
        "share": pl.Float64,  # of the mixture's training tokens
    }
)


def plan(selection: pl.DataFrame) -> pl.DataFrame:
    """Return one PLAN row per component of a selection (schema `select.SELECTION`), in name order."""
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
        .with_columns(
            epochs=_ratio(pl.col("tokens"), pl.col("available_tokens")),
            share=_ratio(pl.col("tokens"), pl.col("tokens").sum()),
        )
        .sort("component")
        .select(pl.col(name).cast(dtype) for name, dtype in PLAN.items())
    )


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole).otherwise(0.0)

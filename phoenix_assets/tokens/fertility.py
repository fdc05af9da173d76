"""Fertility: how much text a token carries, by language and by source. The higher, the cheaper it is to model."""

from typing import Final

import polars as pl

KERNEL_VERSION: Final = "1"

_BY: Final = ("lang", "source")


def fertility(documents: pl.DataFrame) -> pl.DataFrame:
    """Return by (lang, source), name, documents, chars, tokens and chars_per_token (Float64), in the names' order.

    `documents` has lang, source, chars and tokens, the end of document among them; it carries no text.
    """
    return pl.concat([_of(documents, by) for by in _BY])


def _of(documents: pl.DataFrame, by: str) -> pl.DataFrame:
    return (
        documents.group_by(by=pl.lit(by), name=pl.col(by).fill_null(""))
        .agg(
            documents=pl.len().cast(pl.Int64),
            chars=pl.col("chars").cast(pl.Int64).sum(),
            tokens=(pl.col("tokens").cast(pl.Int64) - 1).sum(),
        )
        .with_columns(chars_per_token=pl.when(pl.col("tokens") > 0).then(pl.col("chars") / pl.col("tokens")))
        .sort("name")
    )

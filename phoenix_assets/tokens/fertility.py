"""Fertility: how much text a token carries, by language. The higher, the cheaper the language is to model."""

import polars as pl


def fertility(langs: pl.Series, chars: pl.Series, tokens: pl.Series) -> pl.DataFrame:
    """Return lang, documents, chars, tokens and chars_per_token (Float64) per language, in language order.

    The three columns have a row per document: language, characters, tokens without the end of document.
    """
    return (
        pl.DataFrame({"lang": langs.fill_null(""), "chars": chars, "tokens": tokens})
        .group_by("lang")
        .agg(
            documents=pl.len().cast(pl.Int64),
            chars=pl.col("chars").cast(pl.Int64).sum(),
            tokens=pl.col("tokens").cast(pl.Int64).sum(),
        )
        .with_columns(chars_per_token=pl.when(pl.col("tokens") > 0).then(pl.col("chars") / pl.col("tokens")))
        .sort("lang")
    )

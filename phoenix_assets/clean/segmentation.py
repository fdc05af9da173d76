"""Word boundaries of languages that are written without spaces: jieba's dictionary and algorithm, in native code."""

from typing import Final

import polars as pl
import rjieba

KERNEL_VERSION: Final = "1"

SEGMENTED_LANGUAGES: Final = ("zh", "yue", "wuu")  # written without spaces, cut by jieba


def segment(texts: pl.Series, langs: pl.Series) -> pl.Series:
    """Return `texts` with spaces between the words of languages that are written without them."""
    wanted = langs.is_in(list(SEGMENTED_LANGUAGES)).fill_null(False)
    if not wanted.any():
        return texts
    cut = [" ".join(rjieba.cut(text)) for text in texts.filter(wanted).fill_null("")]
    indices = wanted.arg_true()
    return texts.clone().scatter(indices, pl.Series(cut, dtype=pl.String))

"""Fertility counts text, not ends of documents."""

import polars as pl

from phoenix_assets.tokens.fertility import fertility


def test_it_is_characters_per_token_by_language_and_by_source():
    documents = pl.DataFrame(
        {
            "lang": ["zh", "en", "zh", None],
            "source": ["wiki", "code", "wiki", "code"],
            "chars": [10, 8, 20, 0],
            "tokens": [11, 3, 6, 1],
        }
    )
    assert fertility(documents).select("by", "name", "documents", "tokens", "chars_per_token").rows() == [
        ("lang", "", 1, 0, None),
        ("lang", "en", 1, 2, 4.0),
        ("lang", "zh", 2, 15, 2.0),
        ("source", "code", 2, 2, 4.0),
        ("source", "wiki", 2, 15, 2.0),
    ]

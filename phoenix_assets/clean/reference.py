"""Reference text for a language's perplexity model: documents of that language, up to a number of characters."""

from typing import Any, Final

import polars as pl

from phoenix_assets.clean.language import identify
from phoenix_assets.clean.perplexity import sentences
from phoenix_assets.clean.profiles import LanguageParameters

KERNEL_VERSION: Final = "1"


def reference_sentences(
    documents: pl.DataFrame, lang: str, lid: Any, parameters: LanguageParameters, max_characters: int
) -> pl.Series:
    """Return tokenised sentences of the documents (doc_id, text) that are in `lang`, in doc_id order.

    Documents are taken until `max_characters` are reached, whichever order they come in. `lid` is a loaded fastText
    model; a document counts as `lang` when that is its most probable language.
    """
    ordered = documents.sort("doc_id")
    identified = identify(ordered["text"], lid, parameters)
    texts = ordered.filter(identified["lang"] == lang)["text"]
    before = texts.str.len_chars().cast(pl.Int64).cum_sum().shift(1, fill_value=0)
    return sentences(texts.filter(before < max_characters), lang)

"""The rules that read nothing but text, computed together.

Text for text, not rule for rule: a text is fetched from memory once and is in the near cache for all of its rules.
"""

from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Floats, Ints, Points
from phoenix_assets.clean.character_rules import short_line_share, special_share
from phoenix_assets.clean.characters import trait_memory, traits_of
from phoenix_assets.clean.ngrams import scratch
from phoenix_assets.clean.profiles import FunnelParameters
from phoenix_assets.clean.repetition import repetition_of
from phoenix_assets.clean.words import Lexicon, word_columns, word_inputs, words_of

KERNEL_VERSION: Final = "1"


def text_rules(
    texts: Codepoints, langs: pl.Series, lexicon: Lexicon, parameters: FunnelParameters
) -> pl.DataFrame:
    """Compute the text rules of each text in the language of `langs`.

    Returns one row a text with the columns of `character_statistics` (without `characters`), `character_repetition`
    and `word_statistics`, which say what they mean; values are equal to theirs.
    """
    n = len(texts)
    characters, ratios = np.zeros((3, n), np.float64), np.zeros((3, n), np.float64)
    number = np.zeros(n, np.int64)
    _text_rules(
        texts.offsets,
        texts.values,
        trait_memory(texts.longest),
        (parameters.short_line_characters, parameters.character_ngram, parameters.word_ngram),
        word_inputs(texts, langs, lexicon),
        scratch(texts.longest).arrays(),
        characters,
        number,
        ratios,
    )
    names = ("special_characters", "short_lines", "character_repetition")
    own = [pl.Series(name, values) for name, values in zip(names, characters, strict=True)]
    return pl.DataFrame([*own, *word_columns(number, ratios, langs, lexicon)])


@njit(cache=True, nogil=True)
def _text_rules(
    offsets: Ints,
    values: Points,
    memory: tuple[Points, Points],
    lengths: tuple[int, int, int],
    inputs: Any,
    counting: Any,
    characters: Floats,
    number: Ints,
    ratios: Floats,
) -> None:
    short_length, character_ngram, word_ngram = lengths
    for row in range(len(offsets) - 1):
        text = values[offsets[row] : offsets[row + 1]]
        # First what reads the text on vectors, which waits for memory least.
        characters[2, row] = repetition_of(text, character_ngram, counting)
        traits = traits_of(text, memory)
        characters[0, row] = special_share(traits)
        characters[1, row] = short_line_share(traits, short_length)
        words_of(row, text, traits, inputs, word_ngram, counting, number, ratios)

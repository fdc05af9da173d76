"""Rules over words: their number, word repetition, the shares of stop words and of flagged words.

Words are those of `word_hashes` and are compared by their hashes, word n-grams by all of their words' hashes. A false
match needs a collision of 64 bits within one text, or of 61 with one word list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Floats, Hashes, Ints, Points
from phoenix_assets.clean.characters import trait_memory, traits_of
from phoenix_assets.clean.ngrams import repeated_ngrams, scratch
from phoenix_assets.clean.segmentation import segmented
from phoenix_assets.clean.word_hashes import extend, hash_words, word_memory

KERNEL_VERSION: Final = "2"

# What a table of a lexicon knows about the hash of a word or of a phrase's first words.
STOPWORD: Final = 1
FLAGGED: Final = 2
FLAGGED_PREFIX: Final = 4
KIND_BITS: Final = 7


@dataclass(frozen=True)
class Lexicon:
    """Word lists of several languages as hash tables: language i has the slots `starts[i]` to `starts[i + 1]`.

    A word's entry is its hash with what is known about it in its lowest bits, those of `KIND_BITS`.
    """

    languages: Mapping[str, int]
    starts: Ints
    entries: Hashes
    longest_phrase: int
    has_stopwords: frozenset[str]
    has_flagged: frozenset[str]


def word_statistics(texts: Codepoints, langs: pl.Series, lexicon: Lexicon, word_ngram: int) -> pl.DataFrame:
    """Count the words of texts in the languages `langs`.

    Returns one row a text: `number_words` Int64; `word_repetition` Float64, occurrences of word n-grams that occur
    more than once over occurrences of all; `stopwords` and `flagged_words` Float64, matches over words, at most 1.0,
    null where the text's language has no list. A phrase of the flagged list counts once where it starts.
    A text without words (or, for repetition, without n-grams) has 0.0.
    """
    inputs = word_inputs(texts, langs, lexicon)
    memory, counting = trait_memory(texts.longest), scratch(texts.longest).arrays()
    number, ratios = np.zeros(len(texts), np.int64), np.zeros((3, len(texts)), np.float64)
    _word_statistics(texts.offsets, texts.values, memory, inputs, word_ngram, counting, number, ratios)
    return pl.DataFrame(word_columns(number, ratios, langs, lexicon))


def word_inputs(texts: Codepoints, langs: pl.Series, lexicon: Lexicon) -> tuple[Any, ...]:
    """Return what `words_of` reads, for all texts together."""
    index = langs.replace_strict(
        list(lexicon.languages), list(lexicon.languages.values()), default=-1, return_dtype=pl.Int64
    )
    return (
        segmented(langs),
        word_memory(texts.longest),
        index.fill_null(-1).to_numpy(),
        lexicon.starts,
        lexicon.entries,
        lexicon.longest_phrase,
    )


def word_columns(number: Ints, ratios: Floats, langs: pl.Series, lexicon: Lexicon) -> list[pl.Series]:
    """Return the columns of `word_statistics` from the results of `words_of`."""
    stopwords, flagged = (
        pl.select(pl.when(langs.is_in(list(listed))).then(pl.Series(name, values))).to_series()
        for name, values, listed in (
            ("stopwords", ratios[1], lexicon.has_stopwords),
            ("flagged_words", ratios[2], lexicon.has_flagged),
        )
    )
    return [pl.Series("number_words", number), pl.Series("word_repetition", ratios[0]), stopwords, flagged]


@njit(cache=True, nogil=True, inline="always")
def _lookup(
    key: Any,
    table: Hashes,
) -> Any:
    """Return what a language's table knows about the hash `key`, 0: nothing."""
    mask = np.uint64(len(table) - 1)
    kind_bits = np.uint64(KIND_BITS)
    slot = (key >> np.uint64(3)) & mask
    entry = table[slot]
    while (entry ^ key) > kind_bits and entry != 0:
        slot = (slot + np.uint64(1)) & mask
        entry = table[slot]
    return (entry & kind_bits) if entry != 0 else entry


@njit(cache=True, nogil=True)
def _count_listed(
    hashes: Hashes,
    table: Hashes,
    longest_phrase: int,
) -> tuple[Any, int]:
    """Return how many words are stop words, and how many flagged phrases start at one."""
    stopwords = np.uint64(0)
    flagged = 0
    one, end = np.uint64(1), np.uint64(len(hashes))
    for i in range(end):
        key = hashes[i]
        kind = _lookup(key, table)
        stopwords += kind & np.uint64(STOPWORD)
        k = i + one
        while kind & np.uint64(FLAGGED | FLAGGED_PREFIX):
            if kind & np.uint64(FLAGGED):
                flagged += 1
                break
            if k - i >= longest_phrase or k >= end:
                break
            key = extend(key, hashes[k])
            kind = _lookup(key, table)
            k += one
    return np.int64(stopwords), flagged


@njit(cache=True, nogil=True)
def words_of(
    row: int,
    text: Points,
    traits: Points,
    inputs: Any,
    ngram: int,
    counting: Any,
    number: Ints,
    ratios: Floats,
) -> None:
    """Write the values of the text in row `row`; `counting` are the arrays of a `Scratch`."""
    cut, memory, lexicon_index, starts, entries, longest_phrase = inputs
    hashes = hash_words(text, traits, cut[row], memory)
    number[row] = count = len(hashes)
    total = count - ngram + 1
    if total > 0:
        _, repeated = repeated_ngrams(hashes, 0, total, ngram, *counting)
        ratios[0, row] = counting[-1][:repeated].sum() / total
    index = lexicon_index[row]
    if count > 0 and index >= 0:
        table = entries[starts[index] : starts[index + 1]]
        stopwords, flagged = _count_listed(hashes, table, longest_phrase)
        ratios[1, row] = min(1.0, stopwords / count)
        ratios[2, row] = min(1.0, flagged / count)


@njit(cache=True, nogil=True)
def _word_statistics(
    offsets: Ints,
    values: Points,
    memory: tuple[Points, Points],
    inputs: Any,
    ngram: int,
    counting: Any,
    number: Ints,
    ratios: Floats,
) -> None:
    for row in range(len(offsets) - 1):
        text = values[offsets[row] : offsets[row + 1]]
        words_of(row, text, traits_of(text, memory), inputs, ngram, counting, number, ratios)

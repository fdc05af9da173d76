"""Perplexity of documents under a KenLM model of their language.

As in CCNet (Wenzek et al. 2020) a line is a sentence and the score is per token over the document, sentence ends
included: 10 ** (−Σ log10 p / Σ tokens). Chinese is scored by character, other languages by words and punctuation
marks, lower-cased; decimal digits count as 0. `tokenize` is the one definition of tokens, for training and scoring.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import (
    Bytes,
    Codepoints,
    Floats,
    Ints,
    Points,
    codepoints,
    column,
    near,
    write_codepoint,
)
from phoenix_assets.clean.characters import LINE_END, UNICODE_SIZE, WHITESPACE, character_table, lower_table

KERNEL_VERSION: Final = "1"

BY_CHARACTER: Final = frozenset({"zh", "yue", "wuu", "ja"})
BLANK: Final = ord(" ")
# Classes of characters: a token of its own, part of a word; neither is between tokens.
ALONE_BIT, WORD_BIT = 31, 30
ALONE, WORD = 1 << ALONE_BIT, 1 << WORD_BIT
POINT_BITS: Final = WORD - 1
LAST_LETTER: Final = 0x323B0  # beyond lie tags, selectors and private use
PADDING: Final = 8  # bytes behind the last token, so that a word can be read in eights


@dataclass(frozen=True)
class Sentences:
    """Tokenised lines, in UTF-8: line i is `data[offsets[i] : offsets[i + 1]]`, its tokens joined by spaces.

    It comes from the text `document[i]` and has `tokens[i]` tokens; `starts` are the places of all lines' tokens, one
    after the other. Behind the last line `data` has at least `PADDING` more bytes.
    """

    document: Ints
    data: Bytes
    offsets: Ints
    starts: Ints
    tokens: Ints

    @property
    def lines(self) -> pl.Series:
        """The lines as a String column, as KenLM's trainer and scorer read them."""
        return column("line", self.offsets, self.data[: int(self.offsets[-1])])


class Scorer(Protocol):
    """A language model, as `scorers.load_scorer` loads it."""

    def log10(self, lines: Sentences) -> Floats:
        """Return log10 of each line's probability, its end included."""


def tokenize(
    texts: Codepoints | pl.Series,
    lang: str,
    *,
    max_chars: int | None = None,
    rows: Ints | None = None,
) -> Sentences:
    """Tokenise the lines of `texts` (of those at `rows`, their first `max_chars` characters); lines without tokens go."""
    points = texts if isinstance(texts, Codepoints) else codepoints(texts)
    chosen = np.arange(len(points), dtype=np.int64) if rows is None else rows
    limit = max_chars or points.longest
    read = int(np.minimum(np.diff(points.offsets)[chosen], limit).sum())
    data = np.empty(5 * read + PADDING, np.uint8)
    offsets = np.zeros(read + 1, np.int64)
    starts, document, tokens = (np.empty(read + 1, np.int64) for _ in range(3))
    count: int = _tokenize(
        points.offsets,
        points.values,
        chosen,
        limit,
        _token_traits(lang in BY_CHARACTER),
        np.empty(min(limit, points.longest), np.uint32),
        data,
        offsets,
        starts,
        document,
        tokens,
    )
    return Sentences(document[:count], data, offsets[: count + 1], starts, tokens[:count])


def sentences(texts: pl.Series, lang: str) -> pl.Series:
    """Return the tokenised lines of all `texts`, what KenLM is trained on."""
    return tokenize(texts, lang).lines


def perplexity(
    texts: Codepoints | pl.Series, langs: pl.Series, models: Mapping[str, Scorer], max_chars: int
) -> pl.Series:
    """Return the perplexity of each text, Float64; null where its language has no model or it has no tokens.

    Scores the first `max_chars` characters. `models` holds a loaded model per language.
    """
    points = texts if isinstance(texts, Codepoints) else codepoints(texts)
    log10 = np.zeros(len(points), np.float64)
    count = np.zeros(len(points), np.float64)
    for lang in sorted(models):
        rows = (langs == lang).fill_null(False).arg_true().to_numpy().astype(np.int64)
        if len(rows) == 0:
            continue
        cut = tokenize(points, lang, max_chars=max_chars, rows=rows)
        log10 += np.bincount(cut.document, weights=models[lang].log10(cut), minlength=len(points))
        count += np.bincount(cut.document, weights=cut.tokens + 1, minlength=len(points))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return pl.Series("perplexity", np.power(10.0, -log10 / count), nan_to_null=True)


@cache
def _token_traits(by_character: bool) -> Points:
    """Return each code point's lower case ("0" for decimal digits) in the low bits, and the bits of its class."""
    traits = np.arange(UNICODE_SIZE, dtype=np.uint32)
    traits[: len(lower_table())] = lower_table()
    is_word = np.zeros(UNICODE_SIZE, np.bool_)
    for point in range(LAST_LETTER):
        character = chr(point)
        if character.isdecimal():
            traits[point] = ord("0")
        # Letters, combining marks and digits make words, as \w does.
        is_word[point] = unicodedata.category(character)[0] in "LMN"
    is_word[ord("_")] = True
    is_word &= ~character_table(WHITESPACE)
    alone = ~is_word & ~character_table(WHITESPACE)
    if by_character:
        alone, is_word = alone | is_word, np.zeros_like(is_word)
    traits |= np.uint32(WORD) * is_word | np.uint32(ALONE) * alone
    traits.setflags(write=False)
    return traits


@njit(cache=True, nogil=True)
def _tokenize(
    in_offsets: Ints,
    values: Points,
    rows: Ints,
    limit: int,
    traits: Points,
    room: Points,
    data: Bytes,
    offsets: Ints,
    starts: Ints,
    document: Ints,
    tokens: Ints,
) -> int:
    """Write the lines that have tokens; return how many. What is written where no token goes on is written over."""
    one, zero, ascii_end = np.uint64(1), np.uint64(0), np.uint64(0x80)
    lines = 0
    used = found = zero
    for row in rows:
        text = near(values[in_offsets[row] : min(in_offsets[row + 1], in_offsets[row] + limit)], room)
        size = np.uint64(len(text))
        i = zero
        while i < size:
            count = before = zero
            while i < size:
                c = text[i]
                i += one
                if c == LINE_END:
                    break
                trait = np.uint64(traits[c])
                alone, word = trait >> np.uint64(ALONE_BIT), trait >> np.uint64(WORD_BIT) & one
                begins = alone | (word & ~before)
                before = word
                data[used] = BLANK
                used += begins & np.uint64(count > zero)
                starts[found] = used
                found += begins
                count += begins
                point = trait & np.uint64(POINT_BITS)
                if point < ascii_end:
                    data[used] = point
                    used += alone | word
                elif alone | word:
                    used = np.uint64(write_codepoint(point, data, np.int64(used)))
            if count > zero:
                document[lines] = row
                tokens[lines] = count
                lines += 1
                offsets[lines] = used
    return lines

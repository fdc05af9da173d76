"""Perplexity of documents under a KenLM model of their language.

As in CCNet (Wenzek et al. 2020) a line is a sentence and the score is per token over the document, sentence ends
included: 10 ** (−Σ log10 p / Σ tokens). Chinese is scored by character, other languages by words and punctuation
marks, lower-cased; decimal digits count as 0. `tokenize` is the one definition of tokens, for training and scoring.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Codepoints, Ints, Points, codepoints, column, write_codepoint
from phoenix_assets.clean.characters import LINE_END, UNICODE_SIZE, WHITESPACE, character_table
from phoenix_assets.clean.words import lower_table

KERNEL_VERSION: Final = "1"

BY_CHARACTER: Final = frozenset({"zh", "yue", "wuu", "ja"})
CLASS_SHIFT: Final = 24  # of a character's class in its traits
POINT_BITS: Final = (1 << CLASS_SHIFT) - 1
BLANK: Final = ord(" ")
MARK, WORD, SPACE = 0, 1, 2  # classes of characters: a token of its own, part of a word, between tokens
LAST_LETTER: Final = 0x323B0  # beyond lie tags, selectors and private use


@dataclass(frozen=True)
class Sentences:
    """Tokenised lines: the text they come from, their tokens joined by spaces, how many tokens they have."""

    document: Ints
    lines: pl.Series
    tokens: Ints


def tokenize(
    texts: Codepoints | pl.Series,
    lang: str,
    *,
    max_chars: int | None = None,
    rows: Ints | None = None,
) -> Sentences:
    """Tokenise the lines of `texts` (of those at `rows`, their first `max_chars` characters); lines without tokens go.

    `lines` is a String column in the order of the texts, as KenLM's trainer and scorer read it.
    """
    points = texts if isinstance(texts, Codepoints) else codepoints(texts)
    chosen = np.arange(len(points), dtype=np.int64) if rows is None else rows
    limit = max_chars or int(np.diff(points.offsets).max(initial=0))
    read = int(np.minimum(np.diff(points.offsets)[chosen], limit).sum())
    data = np.empty(5 * read, np.uint8)
    offsets = np.zeros(read + 1, np.int64)
    document = np.empty(read, np.int64)
    tokens = np.empty(read, np.int64)
    count: int = _tokenize(
        points.offsets,
        points.values,
        chosen,
        limit,
        lang in BY_CHARACTER,
        _token_traits(),
        data,
        offsets,
        document,
        tokens,
    )
    lines = column("line", offsets[: count + 1], data[: int(offsets[count])])
    return Sentences(document[:count], lines, tokens[:count])


def sentences(texts: pl.Series, lang: str) -> pl.Series:
    """Return the tokenised lines of all `texts`, what KenLM is trained on."""
    return tokenize(texts, lang).lines


def perplexity(
    texts: Codepoints | pl.Series, langs: pl.Series, models: Mapping[str, Any], max_chars: int
) -> pl.Series:
    """Return the perplexity of each text, Float64; null where its language has no model or it has no tokens.

    Scores the first `max_chars` characters. `models` holds a loaded `kenlm.Model` per language.
    """
    points = texts if isinstance(texts, Codepoints) else codepoints(texts)
    log10 = np.zeros(len(points), np.float64)
    count = np.zeros(len(points), np.float64)
    for lang in sorted(models):
        rows = (langs == lang).fill_null(False).arg_true().to_numpy().astype(np.int64)
        if len(rows) == 0:
            continue
        cut = tokenize(points, lang, max_chars=max_chars, rows=rows)
        # KenLM's binding takes UTF-8 bytes as they are, and adds the sentence end.
        lines = cut.lines.cast(pl.Binary).to_list()
        scores = np.fromiter(map(models[lang].score, lines), np.float64, len(lines))
        log10 += np.bincount(cut.document, weights=scores, minlength=len(points))
        count += np.bincount(cut.document, weights=cut.tokens + 1, minlength=len(points))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return pl.Series("perplexity", np.power(10.0, -log10 / count), nan_to_null=True)


@cache
def _token_traits() -> npt.NDArray[np.uint32]:
    """Return each code point's lower case ("0" for decimal digits) in the low bits, its class above."""
    folded = np.arange(UNICODE_SIZE, dtype=np.uint32)
    folded[: len(lower_table())] = lower_table()
    classes = np.full(UNICODE_SIZE, MARK, np.uint32)
    for point in range(LAST_LETTER):
        character = chr(point)
        if character.isdecimal():
            folded[point] = ord("0")
        # Letters, combining marks and digits make words, as \w does.
        if unicodedata.category(character)[0] in "LMN":
            classes[point] = WORD
    classes[ord("_")] = WORD
    classes[character_table(WHITESPACE)] = SPACE
    traits = folded | classes << np.uint32(CLASS_SHIFT)
    traits.setflags(write=False)
    return traits


@njit(cache=True, nogil=True)
def _tokenize(
    in_offsets: Ints,
    values: Points,
    rows: Ints,
    limit: int,
    by_character: bool,
    traits: npt.NDArray[np.uint32],
    data: Bytes,
    offsets: Ints,
    document: Ints,
    tokens: Ints,
) -> int:
    one, space, mark, word = np.uint32(1), np.uint32(SPACE), np.uint32(MARK), np.uint32(WORD)
    lines = 0
    used = np.uint64(0)
    for row in rows:
        text = values[in_offsets[row] : min(in_offsets[row + 1], in_offsets[row] + limit)]
        count = np.uint32(0)
        before = space
        for i in range(np.uint64(len(text))):
            c = text[i]
            if c == LINE_END:
                lines = _end_line(lines, row, count, used, document, tokens, offsets)
                count = np.uint32(0)
                before = space
                continue
            trait = traits[c]
            kind = trait >> np.uint32(CLASS_SHIFT)
            point = trait & np.uint32(POINT_BITS)
            begins = (kind != space) & (by_character | (kind == mark) | (before != word))
            # What comes next is written over a blank that was not needed.
            data[used] = BLANK
            used += np.uint64(begins & (count > 0))
            count += one if begins else np.uint32(0)
            if point < 0x80:
                data[used] = point
                used += np.uint64(kind != space)
            elif kind != space:
                used = np.uint64(write_codepoint(point, data, np.int64(used)))
            before = kind
        lines = _end_line(lines, row, count, used, document, tokens, offsets)
    return lines


@njit(cache=True, nogil=True, inline="always")
def _end_line(
    lines: int,
    row: int,
    count: Any,
    used: Any,
    document: Ints,
    tokens: Ints,
    offsets: Ints,
) -> int:
    """Note a line of `count` tokens that ends at `data[used]`, if it has any; return how many lines there are."""
    if count > 0:
        document[lines] = row
        tokens[lines] = count
        lines += 1
        offsets[lines] = used
    return lines

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
from phoenix_assets.clean.characters import UNICODE_SIZE, WHITESPACE, character_table
from phoenix_assets.clean.words import lower_table

KERNEL_VERSION: Final = "1"

BY_CHARACTER: Final = frozenset({"zh", "yue", "wuu", "ja"})
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
        _token_classes(),
        _folded(),
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
        cut = tokenize(points, lang, max_chars=max_chars, rows=rows)
        # KenLM's binding takes UTF-8 bytes as they are, and adds the sentence end.
        scores = np.fromiter(map(models[lang].score, cut.lines.cast(pl.Binary)), np.float64, len(cut.lines))
        log10 += np.bincount(cut.document, weights=scores, minlength=len(points))
        count += np.bincount(cut.document, weights=cut.tokens + 1, minlength=len(points))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return pl.Series("perplexity", np.power(10.0, -log10 / count), nan_to_null=True)


@cache
def _token_classes() -> Bytes:
    classes = np.full(UNICODE_SIZE, MARK, np.uint8)
    # Letters, combining marks and digits make words, as \w does.
    categories = (unicodedata.category(chr(point)) for point in range(LAST_LETTER))
    classes[:LAST_LETTER] = np.fromiter((c[0] in "LMN" for c in categories), np.uint8, LAST_LETTER) * WORD
    classes[ord("_")] = WORD
    classes[character_table(WHITESPACE)] = SPACE
    return classes


@cache
def _folded() -> npt.NDArray[np.int32]:
    """Return each code point's lower case, "0" for decimal digits."""
    folded = np.arange(UNICODE_SIZE, dtype=np.int32)
    folded[: len(lower_table())] = lower_table()
    for point in range(LAST_LETTER):
        if chr(point).isdecimal():
            folded[point] = ord("0")
    return folded


@njit(cache=True, nogil=True)
def _tokenize(
    in_offsets: Ints,
    values: Points,
    rows: Ints,
    limit: int,
    by_character: bool,
    classes: Bytes,
    folded: npt.NDArray[np.int32],
    data: Bytes,
    offsets: Ints,
    document: Ints,
    tokens: Ints,
) -> int:
    mark, word, space, newline, blank = 0, 1, 2, 10, 32
    lines = 0
    used = 0
    for row in rows:
        end = min(in_offsets[row + 1], in_offsets[row] + limit)
        count = 0
        before = space
        for i in range(in_offsets[row], end + 1):
            c = values[i] if i < end else newline
            if c == newline:
                if count > 0:
                    document[lines] = row
                    tokens[lines] = count
                    lines += 1
                    offsets[lines] = used
                count = 0
                before = space
                continue
            kind = classes[c]
            if kind != space:
                if by_character or kind == mark or before != word:
                    if count > 0:
                        data[used] = blank
                        used += 1
                    count += 1
                used = write_codepoint(folded[c], data, used)
            before = kind
    return lines

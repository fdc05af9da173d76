"""Paragraphs in another language than their document: found and removed.

A page whose end is written in another language is one document with two texts in it. A *paragraph* is a line. One in
kana or hangul is certainly Japanese or Korean, one of mostly Chinese characters Chinese, one with "the" or "and" between
spaces English; of the others, fastText reads those with enough letters. The document's language is the one with the most
letters, of which Chinese needs fewer. A paragraph goes when its language is neither the document's own nor one of the allowed ones.

What is no prose stays: code, mathematics, short lines, lines of marks and numbers, and quotations (between quotation
marks, or after `>`). So do a document's few lines of a language, which are titles, names and references. A document
whose own language is not allowed stays whole, for the filter funnel to judge, and so does one that would lose everything.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import (
    Bytes,
    Codepoints,
    Flags,
    Ints,
    Points,
    codepoints,
    column,
    write_codepoint,
)
from phoenix_assets.clean.characters import LINE_END, UNICODE_SIZE, WHITESPACE, character_table, class_table
from phoenix_assets.clean.config import ForeignParagraphs
from phoenix_assets.clean.language import LABEL_PREFIX
from phoenix_assets.clean.normalize import texts
from phoenix_assets.clean.regions import HAN, PROSE, SPACE, regions

KERNEL_VERSION: Final = "1"

KANA: Final = "3041-3096 309D-309F 30A1-30FA 30FC-30FF 31F0-31FF FF66-FF9D"
HANGUL: Final = "AC00-D7AF"  # syllables: single letters are examples, not prose
QUOTES: Final = "22 201C-201D"
QUOTED_AFTER: Final = ord(">")

LATIN_PER_SYLLABLE: Final = 3  # letters that say as much as one Chinese, Japanese or Korean one
# What a line is made of, a row each in the counts of `_describe`.
LETTERS, HAN_LETTERS, KANA_LETTERS, HANGUL_LETTERS, SPECIAL, BLANKS, NOT_PROSE, ENGLISH = range(8)


@dataclass(frozen=True)
class Pruned:
    """Texts without their foreign paragraphs, and how many paragraphs and characters each lost."""

    texts: pl.Series
    paragraphs: Ints
    characters: Ints


@dataclass(frozen=True)
class _Lines:
    """Every line: its text's row, where it begins and ends, and its counts of characters by kind."""

    row: Ints
    start: Ints
    end: Ints
    counts: Ints
    quoted: Flags


def remove_foreign_paragraphs(text: pl.Series, model: Any, config: ForeignParagraphs) -> Pruned:
    """Remove the foreign paragraphs of each text of a String column; `model` is a loaded fastText model."""
    points = codepoints(text)
    lines = _lines(points)
    foreign = _foreign(points, lines, model, config)
    return _without(text, points, lines, foreign)


def _foreign(points: Codepoints, lines: _Lines, model: Any, config: ForeignParagraphs) -> Flags:
    """Return which lines are in a language that is neither allowed nor their document's own, which is allowed."""
    labels, guessed = _labels(points, lines, model, config)
    letters = lines.counts[LETTERS]
    content = letters + (LATIN_PER_SYLLABLE - 1) * lines.counts[HAN_LETTERS : HANGUL_LETTERS + 1].sum(axis=0)
    labelled = pl.DataFrame(
        {"row": lines.row, "lang": labels, "letters": letters, "content": content, "guessed": guessed}
    ).with_row_index("line")
    known = labelled.filter(pl.col("lang") != "")
    sums = known.group_by("row", "lang").agg(pl.col("content").sum())
    own = sums.sort("content", "lang", descending=[True, False])
    own = own.unique("row", keep="first", maintain_order=True).select("row", own="lang")
    few = pl.col("guessed") & (
        pl.col("letters").sum().over("row", "lang", "guessed") < config.document_letters
    )
    foreign = known.join(own, on="row").filter(
        pl.col("own").is_in(config.allowed) & ~pl.col("lang").is_in(config.allowed) & ~few
    )
    flags = np.zeros(len(labels), np.bool_)
    flags[foreign["line"].to_numpy()] = True
    return flags


def _lines(points: Codepoints) -> _Lines:
    most = len(points) + int(np.count_nonzero(points.values == LINE_END))
    row, start, end = np.zeros((3, most), np.int64)
    counts, quoted = np.zeros((ENGLISH + 1, most), np.int64), np.zeros(most, np.bool_)
    _describe(
        points.offsets,
        points.values,
        regions(points),
        _classes(),
        character_table(QUOTES),
        row,
        start,
        end,
        counts,
        quoted,
    )
    return _Lines(row, start, end, counts, quoted)


def _labels(
    points: Codepoints, lines: _Lines, model: Any, config: ForeignParagraphs
) -> tuple[pl.Series, Flags]:
    """Return the language of each line, "" where nothing tells or it is no prose, and whether fastText named it."""
    counts = lines.counts
    prose = (counts[NOT_PROSE] == 0) & ~lines.quoted
    labels = np.full(len(prose), "", object)
    labels[prose & (counts[ENGLISH] > 0)] = "en"
    labels[prose & (2 * counts[HAN_LETTERS] > counts[LETTERS])] = "zh"
    for lang, kind in (("ja", KANA_LETTERS), ("ko", HANGUL_LETTERS)):
        of_letters = counts[kind] >= config.script_share * counts[LETTERS]
        labels[prose & of_letters & (counts[kind] >= config.script_letters)] = lang
    wordy = counts[SPECIAL] <= config.special_share * (lines.end - lines.start)
    unclear = prose & wordy & (labels == "") & (counts[LETTERS] >= config.letters)
    numbers = unclear.nonzero()[0]
    labels[numbers] = _predicted(points, lines.start[numbers], lines.end[numbers], model, config)
    return pl.Series(labels, dtype=pl.String).replace(dict(config.same)), unclear


def _predicted(
    points: Codepoints, start: Ints, end: Ints, model: Any, config: ForeignParagraphs
) -> list[str]:
    """Return fastText's language of each piece of text, "" below the least probability."""
    end = np.minimum(end, start + config.read_characters)
    data = np.empty(int(4 * (end - start).sum()) + len(start), np.uint8)
    offsets = np.zeros(len(start) + 1, np.int64)
    used = _cut(points.values, start, end, offsets, data)
    pieces = column("piece", offsets, data[:used]).to_list()
    found = model.f.multilinePredict(pieces, 1, config.above, "strict")[0] if pieces else []
    return [label[0].removeprefix(LABEL_PREFIX) if label else "" for label in found]


def _without(text: pl.Series, points: Codepoints, lines: _Lines, foreign: Flags) -> Pruned:
    left = np.bincount(lines.row[~foreign], weights=lines.counts[LETTERS][~foreign], minlength=len(text))
    foreign = foreign & (left > 0)[lines.row]
    paragraphs = np.bincount(lines.row[foreign], minlength=len(text))
    if not foreign.any():
        return Pruned(text, paragraphs, np.zeros(len(text), np.int64))
    offsets, values = np.zeros_like(points.offsets), np.empty_like(points.values)
    used = _keep(points.values, lines.row, lines.start, lines.end, foreign, offsets, values)
    pruned = texts(Codepoints(offsets, values[:used]), text.name)
    kept = pl.select(pl.when(pl.Series(paragraphs > 0)).then(pruned).otherwise(text)).to_series()
    return Pruned(kept.alias(text.name), paragraphs, np.diff(points.offsets) - np.diff(offsets))


@cache
def _classes() -> Bytes:
    """Return for each code point what it counts as: LETTERS to BLANKS."""
    classes = np.full(UNICODE_SIZE, LETTERS, np.uint8)
    classes[class_table() != 0] = SPECIAL
    classes[character_table(WHITESPACE)] = BLANKS
    for kind, ranges in ((HAN_LETTERS, HAN), (KANA_LETTERS, KANA), (HANGUL_LETTERS, HANGUL)):
        classes[character_table(ranges)] = kind
    classes.setflags(write=False)
    return classes


@njit(cache=True, nogil=True)
def _is_english(
    text: Points,
) -> Any:
    """Return whether `text`, which begins with a space, begins with " the " or " and "."""
    if len(text) < 5 or text[4] != SPACE:
        return False
    the = text[1] == 116 and text[2] == 104 and text[3] == 101
    return the or (text[1] == 97 and text[2] == 110 and text[3] == 100)


@njit(cache=True, nogil=True)
def _describe(
    offsets: Ints,
    values: Points,
    kinds: Bytes,
    classes: Bytes,
    quotes: Flags,
    row: Ints,
    start: Ints,
    end: Ints,
    counts: Any,
    quoted: Flags,
) -> None:
    line = 0
    for text in range(len(offsets) - 1):
        first = offsets[text]
        for i in range(offsets[text], offsets[text + 1] + 1):
            if i < offsets[text + 1] and values[i] != LINE_END:
                kind = classes[values[i]]
                counts[kind, line] += 1
                counts[LETTERS, line] += HAN_LETTERS <= kind <= HANGUL_LETTERS
                counts[NOT_PROSE, line] += kinds[i] != PROSE
                counts[ENGLISH, line] += values[i] == SPACE and _is_english(values[i : offsets[text + 1]])
                continue
            row[line] = text
            start[line] = first
            end[line] = i
            if i > first:
                quoted[line] = values[first] == QUOTED_AFTER or (
                    quotes[values[first]] and quotes[values[i - 1]]
                )
            line += 1
            first = i + 1


@njit(cache=True, nogil=True)
def _cut(
    values: Points,
    start: Ints,
    end: Ints,
    offsets: Ints,
    data: Bytes,
) -> int:
    used = 0
    for piece in range(len(start)):
        offsets[piece] = used
        for i in range(start[piece], end[piece]):
            used = write_codepoint(np.int64(values[i]), data, used)
        data[used] = LINE_END
        used += 1
    offsets[len(start)] = used
    return used


@njit(cache=True, nogil=True)
def _keep(
    in_values: Points,
    row: Ints,
    start: Ints,
    end: Ints,
    leaves: Flags,
    offsets: Ints,
    values: Points,
) -> int:
    """Write the lines that stay; of the blank lines around one that leaves, those before it. Return the length."""
    used = 0
    left = False
    for line in range(len(row)):
        if line == 0 or row[line] != row[line - 1]:
            begin = used
            left = False
            written = False
        blank = start[line] == end[line]
        if not leaves[line] and not (blank and left):
            if written:
                values[used] = LINE_END
                used += 1
            written = True
            length = end[line] - start[line]
            values[used : used + length] = in_values[start[line] : end[line]]
            used += length
        left = leaves[line] or (left and blank)
        if line + 1 == len(row) or row[line + 1] != row[line]:
            while left and used > begin and values[used - 1] == LINE_END:
                used -= 1
            offsets[row[line] + 1] = used
    return used

"""Chinese and English punctuation, unified by context.

One pass from left to right over the characters; a mark is judged by the character written before it and, where needed,
by the one that follows:

- `, ; : ! ?` after a CJK letter or a full-width mark become full width (`:` not before `//`); `.` after a CJK
  letter becomes `。` unless a dot, a letter or a digit follows.
- `(` beside a CJK letter becomes full width, and so does the `)` that closes it on the same line.
- A full-width `，；：！？` between a Latin letter or digit and a Latin letter, digit or space becomes ASCII.
- Spaces after a full-width mark go.

URLs, numbers and English sentences have no CJK letter before their marks, so they stay; inline code (between
backticks), fenced code and indented code are copied as they are. The result is a fixed point: unifying it again
changes nothing.
"""

from typing import Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Ints, Points, codepoints, column, write_codepoint
from phoenix_assets.clean.characters import character_table

KERNEL_VERSION: Final = "1"

CJK_LETTERS: Final = (
    "2E80-2FDF 3005-3007 3041-3096 309D-309F 30A1-30FA 30FC-30FF 3100-312F 31A0-31BF 31F0-31FF 3400-4DBF 4E00-9FFF "
    "F900-FAFF FF66-FF9D 20000-323AF"
)
FULLWIDTH_MARKS: Final = "3001-3003 3008-3011 3014-301B FF01 FF08-FF09 FF0C FF1A-FF1B FF1F"
LATIN: Final = "30-39 41-5A 61-7A C0-D6 D8-F6 F8-24F"

NOTHING, CJK, MARK, WORD, SPACE, NEWLINE = 0, 1, 2, 3, 4, 5
DEEPEST: Final = 64  # parentheses nested deeper on one line stay as they are


def unify_punctuation(texts: pl.Series) -> pl.Series:
    """Return the String column `texts` with its punctuation unified; nulls stay null."""
    points = codepoints(texts)
    offsets = np.zeros(len(points.offsets), np.int64)
    data = np.empty(4 * len(points.values), np.uint8)
    used = _unify(points.offsets, points.values, _classes(), offsets, data)
    unified = column(texts.name, offsets, data[:used])
    if not texts.null_count():
        return unified
    return pl.select(pl.when(texts.is_not_null()).then(unified)).to_series().alias(texts.name)


def _classes() -> Bytes:
    classes = np.zeros(0x110000, np.uint8)
    for kind, ranges in ((CJK, CJK_LETTERS), (MARK, FULLWIDTH_MARKS), (WORD, LATIN)):
        classes[character_table(ranges)] = kind
    classes[ord(" ")] = SPACE
    classes[ord("\t")] = SPACE
    classes[ord("\n")] = NEWLINE
    return classes


@njit(cache=True, nogil=True)
def _starts_fence(
    values: Points,
    i: int,
    end: int,
) -> bool:
    while i < end and values[i] == 32:
        i += 1
    return i + 2 < end and values[i] == 96 and values[i + 1] == 96 and values[i + 2] == 96


@njit(cache=True, nogil=True)
def _starts_indented(
    values: Points,
    i: int,
    end: int,
) -> bool:
    if i < end and values[i] == 9:
        return True
    return (
        i + 3 < end
        and values[i] == 32
        and values[i + 1] == 32
        and values[i + 2] == 32
        and values[i + 3] == 32
    )


@njit(cache=True, nogil=True)
def _mark(
    c: int,
    before: int,
    after: int,
    after_next: int,
) -> int:
    """Return what the mark `c` becomes between the class `before` and the class `after` (`after_next` its text)."""
    cjk, mark, word, space = 1, 2, 3, 4
    if c == 44 or c == 59 or c == 58 or c == 33 or c == 63:
        if before != cjk and before != mark:
            return c
        if c == 58 and after_next == 47:
            return c
        return c + 0xFEE0
    if c == 46:
        if before == cjk and after != word and after_next != 46:
            return 0x3002
        return c
    widened = c in (0xFF0C, 0xFF1B, 0xFF1A, 0xFF01, 0xFF1F)
    return c - 0xFEE0 if widened and before == word and after in (word, space) else c


@njit(cache=True, nogil=True)
def _unify(
    in_offsets: Ints,
    values: Points,
    classes: Bytes,
    offsets: Ints,
    data: Bytes,
) -> int:
    cjk, mark, space = 1, 2, 4
    newline, backtick = 10, 96
    opened = np.zeros(64, np.bool_)
    used = 0
    for text in range(len(in_offsets) - 1):
        offsets[text] = used
        end = in_offsets[text + 1]
        i = in_offsets[text]
        fenced = False
        verbatim = False
        line_start = True
        inline_until = i
        depth = 0
        before = 0
        while i < end:
            c = values[i]
            if line_start:
                line_start = False
                depth = 0
                before = 0
                inline_until = i
                fence = _starts_fence(values, i, end)
                verbatim = fenced or fence or _starts_indented(values, i, end)
                if fence:
                    fenced = not fenced
            if c == newline:
                line_start = True
                used = write_codepoint(c, data, used)
                i += 1
                continue
            if not verbatim and c == backtick and i >= inline_until:
                j = i + 1
                while j < end and values[j] != backtick and values[j] != newline:
                    j += 1
                if j < end and values[j] == backtick:
                    inline_until = j + 1
            if verbatim or i < inline_until:
                used = write_codepoint(c, data, used)
                before = 0
                i += 1
                continue
            if classes[c] == space and before == mark:
                i += 1
                continue
            after = classes[values[i + 1]] if i + 1 < end else 5
            after_next = values[i + 1] if i + 1 < end else newline
            if c == 0x28 or c == 0xFF08:
                wide = c == 0xFF08 or before == cjk or after == cjk
                if depth < 64:
                    opened[depth] = wide
                depth += 1
                c = 0xFF08 if wide else c
            elif c == 0x29 or c == 0xFF09:
                if depth > 0:
                    depth -= 1
                    if depth < 64 and opened[depth]:
                        c = 0xFF09
            else:
                c = _mark(c, before, after, after_next)
            used = write_codepoint(c, data, used)
            before = classes[c]
            i += 1
    offsets[len(in_offsets) - 1] = used
    return used

"""Chinese and English punctuation, unified by context.

One pass from left to right over the characters; a mark is judged by the character written before it, by the one that
follows, and by whether its line, or its text, has CJK letters at all:

- `, ; : ! ?` after a CJK letter or a full-width mark become full width (`:` not before `//`); `.` after a CJK
  letter becomes `。` unless a dot, a letter or a digit follows.
- `(` beside a CJK letter becomes full width, and so does the `)` that closes it on the same line.
- Full-width `，；：！？．` become ASCII between digits, and after a Latin letter or digit on a line without CJK letters,
  where `。` does too: a Chinese sentence keeps its marks when a Latin word or a number stands before them.
- `．` after a CJK letter becomes `。`. Full-width parentheses become ASCII in a text without CJK letters.
- Spaces after a full-width mark go.

Code, mathematics and addresses (`regions`) are copied as they are; numbers, versions and English sentences have no CJK
letter before their marks. The result is a fixed point: unifying it again changes nothing.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Codepoints, Ints, Points, rewritten
from phoenix_assets.clean.characters import LINE_END, character_table
from phoenix_assets.clean.regions import PROSE, regions

KERNEL_VERSION: Final = "2"

CJK_LETTERS: Final = (
    "2E80-2FDF 3005-3007 3041-3096 309D-309F 30A1-30FA 30FC-30FF 3100-312F 31A0-31BF 31F0-31FF 3400-4DBF 4E00-9FFF "
    "F900-FAFF FF66-FF9D 20000-323AF"
)
FULLWIDTH_MARKS: Final = "3001-3003 3008-3011 3014-301B FF01 FF08-FF09 FF0C FF0E FF1A-FF1B FF1F"
LATIN: Final = "41-5A 61-7A C0-D6 D8-F6 F8-24F"

OTHER, CJK, MARK, WORD, DIGIT, BLANK, END = 0, 1, 2, 3, 4, 5, 6
DEEPEST: Final = 64  # parentheses nested deeper on one line stay as they are
TO_FULLWIDTH: Final = 0xFEE0
IDEOGRAPHIC_STOP: Final = 0x3002
FULLWIDTH_STOP: Final = 0xFF0E
OPENING, CLOSING = 0x28, 0x29


def unify_punctuation(texts: Codepoints) -> Codepoints:
    """Return the texts with their punctuation unified."""
    return rewritten(texts, _unify, regions(texts), _classes())


@cache
def _classes() -> Bytes:
    classes = np.zeros(0x110000, np.uint8)
    ranges = ((CJK, CJK_LETTERS), (MARK, FULLWIDTH_MARKS), (WORD, LATIN), (DIGIT, "30-39"), (BLANK, "9 20"))
    for kind, characters in ranges:
        classes[character_table(characters)] = kind
    classes[LINE_END] = END
    classes.setflags(write=False)
    return classes


@njit(cache=True, nogil=True)
def _mark(
    point: Any,
    before: int,
    after: int,
    next_is_slash: bool,
    next_is_dot: bool,
    line_has_cjk: bool,
) -> Any:
    """Return what the mark `point` becomes between the classes `before` and `after`."""
    c = np.int64(point)
    if c == 0x2C or c == 0x3B or c == 0x3A or c == 0x21 or c == 0x3F:
        wide = (before in (CJK, MARK)) and not (c == 0x3A and next_is_slash)
        return c + TO_FULLWIDTH if wide else c
    if c == 0x2E:
        joined = after in (WORD, DIGIT) or next_is_dot
        return IDEOGRAPHIC_STOP if before == CJK and not joined else c
    stop = c == FULLWIDTH_STOP
    if stop and before == CJK and after != DIGIT and after != WORD:
        return IDEOGRAPHIC_STOP
    if not (
        c == 0xFF0C
        or c == 0xFF1B
        or c == 0xFF1A
        or c == 0xFF01
        or c == 0xFF1F
        or stop
        or c == IDEOGRAPHIC_STOP
    ):
        return c
    in_number = before == DIGIT and after == DIGIT and c != IDEOGRAPHIC_STOP
    in_latin = not line_has_cjk and (before in (WORD, DIGIT)) and after != MARK and after != OTHER
    if not (in_number or in_latin):
        return c
    return 0x2E if c == IDEOGRAPHIC_STOP else c - TO_FULLWIDTH


@njit(cache=True, nogil=True)
def _parenthesis(
    point: Any,
    beside_cjk: bool,
    text_has_cjk: bool,
    opened: Any,
    depth: int,
) -> tuple[Any, int]:
    """Return what the parenthesis becomes, and how many are open after it; `opened` has which are full width."""
    c = np.int64(point)
    if not text_has_cjk:
        return (c - TO_FULLWIDTH if c > TO_FULLWIDTH else c), depth
    if c == OPENING or c == OPENING + TO_FULLWIDTH:
        wide = c > TO_FULLWIDTH or beside_cjk
        if depth < DEEPEST:
            opened[depth] = wide
        return (OPENING + TO_FULLWIDTH if wide else c), depth + 1
    if depth == 0:
        return c, 0
    wide = depth <= DEEPEST and opened[depth - 1]
    return (CLOSING + TO_FULLWIDTH if wide else c), depth - 1


@njit(cache=True, nogil=True)
def _has_cjk(
    text: Points,
    classes: Bytes,
    to_line_end: bool,
) -> bool:
    for c in text:
        if classes[c] == CJK:
            return True
        if to_line_end and c == LINE_END:
            return False
    return False


@njit(cache=True, nogil=True)
def _unify(
    in_offsets: Ints,
    in_values: Points,
    kinds: Bytes,
    classes: Bytes,
    offsets: Ints,
    values: Points,
) -> Any:
    used = np.int64(0)
    for row in range(len(in_offsets) - 1):
        offsets[row] = used
        text = in_values[in_offsets[row] : in_offsets[row + 1]]
        kind = kinds[in_offsets[row] : in_offsets[row + 1]]
        used += _unify_text(text, kind, classes, values[used:])
    offsets[len(in_offsets) - 1] = used
    return used


@njit(cache=True, nogil=True)
def _unify_text(
    text: Points,
    kinds: Bytes,
    classes: Bytes,
    out: Points,
) -> Any:
    """Write the unified text to `out`; return its length."""
    opened = np.zeros(DEEPEST, np.bool_)
    text_has_cjk = _has_cjk(text, classes, False)
    line_has_cjk = False
    used = np.uint64(0)
    one = np.uint64(1)
    depth = 0
    line_starts = True
    before = np.uint8(END)
    for i in range(np.uint64(len(text))):
        c = text[i]
        kind = classes[c]
        if line_starts:
            line_has_cjk = text_has_cjk and _has_cjk(text[i:], classes, True)
            depth = 0
            before = np.uint8(END)
        line_starts = kind == END
        if kinds[i] != PROSE:
            before = np.uint8(OTHER)
        elif kind in (OTHER, MARK):
            follows = text[i + one] if i + one < np.uint64(len(text)) else np.uint32(LINE_END)
            after = classes[follows]
            if c in (OPENING, CLOSING) or c == OPENING + TO_FULLWIDTH or c == CLOSING + TO_FULLWIDTH:
                c, depth = _parenthesis(c, before == CJK or after == CJK, text_has_cjk, opened, depth)
            else:
                c = _mark(c, before, after, follows == 0x2F, follows == 0x2E, line_has_cjk)
            before = classes[c]
        else:
            if kind == BLANK and before == MARK:
                continue
            before = kind
        out[used] = c
        used += one
    return np.int64(used)

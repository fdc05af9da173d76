"""Write the text of a page's elements in one native pass, with its white space collapsed and its layout as Markdown.

What needs a closer look is marked with control characters, which no text may hold: a formula or a picture
(`ISLAND element END_ISLAND`), preformatted text (`PRE element PRE_TEXT … END_PRE`), a table (`TABLE_START … TABLE_END`)
of rows and cells. `markdown.py` writes these few out one by one.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types of its kernels

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.ingest.main_content import GONE, INSIDE
from phoenix_assets.ingest.markup import CLOSE, OPEN, Page
from phoenix_assets.ingest.tags import (
    BREAK,
    CAPTION,
    CELL,
    HEAD_CELL,
    HEADING,
    IMAGE,
    INLINE,
    ITEM,
    LIST,
    MATH,
    ORDERED,
    PARAGRAPH,
    PREFORMATTED,
    ROW,
    RULE,
    TABLE,
    TEX,
)

KERNEL_VERSION: Final = "1"

ISLAND, END_ISLAND, PRE, PRE_TEXT, END_PRE, TABLE_START, TABLE_END, ROW_START, CELL_START = (
    1, 2, 14, 15, 16, 28, 29, 30, 31
)  # fmt: skip
_DEEPEST: Final = 8  # lists; deeper ones are not indented further
_BYTES_PER_EVENT: Final = 64  # more than any event writes beside its text
_LONGEST_CELL: Final = 600  # bytes; a table with longer cells arranges text on the page
_BULLET, _BULLETS = -1, -2  # markers of a list without numbers, and of one that has none yet
_SPACE, _NEWLINE, _DASH, _HASH, _DOT = 32, 10, 45, 35, 46
_PILCROW: Final = np.frombuffer("¶".encode(), np.uint8)  # what headings of manuals link to themselves with

# Where the writing stands: bytes written; line ends and a space owed to the next text; its list marker (0: none,
# -1: a bullet, else a number) and heading level; depth of lists, preformatted text and tables.
_AT, _LINES, _OWES_SPACE, _MARKER, _LEVEL, _LISTS, _PRES, _TABLES = range(8)


def write(page: Page, state: npt.NDArray[np.uint8], top: int) -> bytes:
    """Return the marked text of the elements that are INSIDE, from element `top` down; references stay as they are."""
    written: npt.NDArray[np.uint8] = _write(
        page.data, page.parent, page.role, page.level, page.events, page.event_kind, page.event_element,
        page.event_text, state, top,
    )  # fmt: skip
    return written.tobytes()


@numba.njit(cache=True, nogil=True)
def _number(out, pen, value):  # type: ignore[no-untyped-def]
    digits = 1
    while 10**digits <= value:
        digits += 1
    for place in range(digits - 1, -1, -1):
        out[pen[_AT]] = 48 + value // 10**place % 10
        pen[_AT] += 1


@numba.njit(cache=True, nogil=True)
def _byte(out, pen, value):  # type: ignore[no-untyped-def]
    out[pen[_AT]] = value
    pen[_AT] += 1


@numba.njit(cache=True, nogil=True)
def _break_line(pen, lines):  # type: ignore[no-untyped-def]
    """Owe line ends to the next text; in a cell, a space; nothing more to the first text of an item."""
    if pen[_MARKER]:
        return
    if pen[_TABLES]:
        pen[_OWES_SPACE] = 1
    else:
        pen[_LINES] = max(pen[_LINES], lines)


@numba.njit(cache=True, nogil=True)
def _pay(out, pen):  # type: ignore[no-untyped-def]
    """Write what is owed before a text: line ends, its marker or heading sign, or a space."""
    if pen[_AT] and pen[_LINES]:
        for _ in range(pen[_LINES]):
            _byte(out, pen, _NEWLINE)
    elif pen[_AT] and pen[_OWES_SPACE]:
        _byte(out, pen, _SPACE)
    pen[_LINES] = pen[_OWES_SPACE] = 0
    if pen[_MARKER]:
        for _ in range(2 * (min(pen[_LISTS], _DEEPEST) - 1)):
            _byte(out, pen, _SPACE)
        if pen[_MARKER] > 0:
            _number(out, pen, pen[_MARKER])
            _byte(out, pen, _DOT)
        else:
            _byte(out, pen, _DASH)
        _byte(out, pen, _SPACE)
    elif pen[_LEVEL]:
        for _ in range(pen[_LEVEL]):
            _byte(out, pen, _HASH)
        _byte(out, pen, _SPACE)
    pen[_MARKER] = pen[_LEVEL] = 0


@numba.njit(cache=True, nogil=True)
def _text(data, start, end, out, pen):  # type: ignore[no-untyped-def]
    for at in range(start, end):
        byte = data[at]
        if byte > _SPACE:
            if pen[_LINES] or pen[_OWES_SPACE] or pen[_MARKER] or pen[_LEVEL]:
                _pay(out, pen)
            out[pen[_AT]] = byte
            pen[_AT] += 1
        elif byte == _SPACE or 9 <= byte <= 13:
            pen[_OWES_SPACE] = 1


@numba.njit(cache=True, nogil=True)
def _preformatted(data, start, end, out, pen):  # type: ignore[no-untyped-def]
    for at in range(start, end):
        if data[at] >= _SPACE or data[at] == 9 or data[at] == _NEWLINE:
            _byte(out, pen, data[at])


@numba.njit(cache=True, nogil=True)
def _island(element, out, pen):  # type: ignore[no-untyped-def]
    _pay(out, pen)
    _byte(out, pen, ISLAND)
    _number(out, pen, element)
    _byte(out, pen, END_ISLAND)


@numba.njit(cache=True, nogil=True)
def _is_data(table, role, events, event_kind, event_element, event_text):  # type: ignore[no-untyped-def]
    """Tell whether a table holds data: rows of several short cells, with no layout inside."""
    rows, cells, length = 0, 0, 0
    for index in range(events[table, 0] + 1, events[table, 1]):
        kind, element = event_kind[index], event_element[index]
        what = role[element]
        if kind == OPEN:
            if what in (TABLE, PREFORMATTED, HEADING, LIST, ORDERED):
                return False
            rows += what == ROW
            if what in (CELL, HEAD_CELL):
                cells += 1
                length = 0
        elif kind != CLOSE:
            length += event_text[index, 1] - event_text[index, 0]
            if length > _LONGEST_CELL:
                return False
    return rows > 1 and cells > rows


@numba.njit(cache=True, nogil=True)
def _write(data, parent, role, level, events, event_kind, event_element, event_text, state, top):  # type: ignore[no-untyped-def]
    index, last = events[top, 0], events[top, 1]
    text_bytes = 0
    for at in range(index, last):
        text_bytes += event_text[at, 1] - event_text[at, 0]
    out = np.empty(text_bytes + _BYTES_PER_EVENT * (last - index + 2), np.uint8)
    pen = np.zeros(8, np.int64)
    items = np.zeros(_DEEPEST + 1, np.int64)  # the last marker in each open list
    tables = np.zeros(role.size, np.uint8)
    while index <= last:
        kind, element = event_kind[index], event_element[index]
        what = role[element]
        if kind > CLOSE:
            if state[element] == INSIDE:
                start, end = event_text[index]
                if pen[_PRES]:
                    _preformatted(data, start, end, out, pen)
                elif not (end - start == 2 and data[start] == _PILCROW[0] and data[start + 1] == _PILCROW[1]):
                    _text(data, start, end, out, pen)
            index += 1
            continue
        if kind == OPEN and state[element] == GONE:
            index = events[element, 1] + 1
            continue
        inside = state[element] == INSIDE
        if what == INLINE or not inside:
            pass
        elif what in (MATH, TEX, IMAGE):
            if kind == OPEN:
                _island(element, out, pen)
                index = events[element, 1]
        elif what == BREAK:
            if kind == OPEN:
                if pen[_PRES]:
                    _byte(out, pen, _NEWLINE)
                else:
                    _break_line(pen, min(pen[_LINES] + 1, 2))
        elif pen[_PRES] and what != PREFORMATTED:
            pass
        elif what == PREFORMATTED:
            if kind == OPEN:
                if pen[_PRES] == 0 and not pen[_TABLES]:
                    _break_line(pen, 2)
                    _pay(out, pen)
                    _byte(out, pen, PRE)
                    _number(out, pen, element)
                    _byte(out, pen, PRE_TEXT)
                pen[_PRES] += pen[_TABLES] == 0
            elif pen[_PRES]:
                pen[_PRES] -= 1
                if pen[_PRES] == 0:
                    _byte(out, pen, END_PRE)
                    _break_line(pen, 2)
        elif what == TABLE:
            if (
                kind == OPEN
                and not pen[_TABLES]
                and _is_data(element, role, events, event_kind, event_element, event_text)
            ):
                _break_line(pen, 2)
                _pay(out, pen)
                tables[element] = pen[_TABLES] = 1
                _byte(out, pen, TABLE_START)
            elif kind == CLOSE and tables[element]:
                pen[_TABLES] = pen[_OWES_SPACE] = 0
                _byte(out, pen, TABLE_END)
            _break_line(pen, 2)
        elif pen[_TABLES]:
            if kind == OPEN and what in (ROW, CAPTION):
                _byte(out, pen, ROW_START)
                pen[_OWES_SPACE] = 0
            if kind == OPEN and what in (CELL, HEAD_CELL, CAPTION):
                _byte(out, pen, CELL_START)
                pen[_OWES_SPACE] = 0
            _break_line(pen, 1)
        elif what in (LIST, ORDERED):
            pen[_MARKER] = 0
            _break_line(pen, 2 if pen[_LISTS] <= (kind == CLOSE) else 1)
            pen[_LISTS] += 1 if kind == OPEN else -1
            if kind == OPEN and pen[_LISTS] <= _DEEPEST:
                items[pen[_LISTS]] = 0 if what == ORDERED else _BULLETS
        elif what == ITEM:
            pen[_MARKER] = 0
            _break_line(pen, 1)
            if kind == OPEN and pen[_LISTS]:
                depth = min(pen[_LISTS], _DEEPEST)
                if items[depth] != 0 and items[depth] != _BULLETS:  # no blank line between items
                    pen[_LINES] = 1
                items[depth] = items[depth] + 1 if items[depth] >= 0 else _BULLET
                pen[_MARKER] = items[depth]
        elif what == HEADING:
            _break_line(pen, 2)
            pen[_LEVEL] = level[element] if kind == OPEN else 0
        else:
            _break_line(pen, 2 if what in (PARAGRAPH, RULE) else 1)
        index += 1
    return out[: pen[_AT]]

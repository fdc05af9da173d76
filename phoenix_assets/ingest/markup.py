"""Read HTML into flat arrays in one pass: elements in document order, and the events that open, close and fill them.

The scan follows the tag states of the WHATWG tokenizer and the parts of tree construction that close elements, so
that its tree is nested as a browser nests it. It takes time and memory in proportion to the page, whatever the
markup: unclosed, crossed and deeply nested tags cost no more than others. Inline formatting (`<b>`, `<font>`) makes no
element; `<a>` is kept as a property of the text.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types of its kernels

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.ingest.keywords import Automaton
from phoenix_assets.ingest.tags import (
    BARRIER,
    CLOSED_BY_BLOCKS,
    FORMATTING,
    HEADING,
    INLINE,
    KEYS,
    KINDS,
    LIST_ITEM,
    NESTS,
    OPTION,
    RAW,
    ROLES,
    RULE,
    TABLE_CELL,
    TABLE_ROW,
    TERM,
    TEX,
    VOID,
    name_hash,
    slot_of,
)
from phoenix_assets.ingest.tokenizer import (
    after_declaration,
    after_raw_text,
    attributes,
    holds,
    next_markup,
    read_name,
)

KERNEL_VERSION: Final = "2"

OPEN, CLOSE, TEXT, LINKED = range(4)  # events; LINKED is text inside a link

_TABLE, _SVG, _MATH, _SCRIPT, _TITLE = (
    name_hash(name) for name in ("table", "svg", "math", "script", "title")
)
_A, _P, _DIV, _ADDRESS = (name_hash(name) for name in ("a", "p", "div", "address"))
_MATH_TEX: Final = np.frombuffer(b"math/tex", np.uint8)
_XML: Final = b"<?xml"


@dataclass(frozen=True, slots=True)
class Page:
    """A page as arrays. Elements are numbered in document order, 0 is the root; a parent comes before its children.

    `event_*`: what happens (OPEN, CLOSE, TEXT, LINKED) to which element, and for text the bytes it is in. `source`: the
    bytes of an element with its tags; `attributes`: those of its start tag after the name. `level`: of a heading.
    """

    data: npt.NDArray[np.uint8]
    parent: npt.NDArray[np.int32]
    role: npt.NDArray[np.uint8]
    level: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.int64]
    source: npt.NDArray[np.int32]
    attributes: npt.NDArray[np.int32]
    events: npt.NDArray[np.int32]
    event_kind: npt.NDArray[np.uint8]
    event_element: npt.NDArray[np.int32]
    event_text: npt.NDArray[np.int32]
    title: tuple[int, int]
    nesting: int
    tags: int
    most_attributes: int


def scan(html: bytes, keywords: Automaton, *, max_tags: int, max_nesting: int) -> Page:
    """Return the page in UTF-8; reading stops where it has more than `max_tags` tags or deeper nesting."""
    data = np.frombuffer(html, np.uint8)
    arrays: Any = _scan(data, KEYS, KINDS, ROLES, *keywords, html.startswith(_XML), max_tags, max_nesting)
    return Page(data, *arrays)


@numba.njit(cache=True, nogil=True)
def _close_implied(names, kinds_of, depth, name, kind):  # type: ignore[no-untyped-def]
    """Return the depth after what a start tag closes: a paragraph, an item of the same kind.

    -1: the tag is ignored, as rows and cells are outside a table.
    """
    if kind in (NESTS, RAW) or (kind == BARRIER and name != _TABLE):
        return depth
    at = depth - 1
    while at >= 0 and kinds_of[at] == NESTS:
        at -= 1
    if at >= 0 and kinds_of[at] == CLOSED_BY_BLOCKS:
        depth = at
    if kind in (TABLE_ROW, TABLE_CELL):
        closed = depth
        for at in range(depth - 1, -1, -1):
            if names[at] == _TABLE:
                return closed
            if kinds_of[at] == TABLE_CELL or (kinds_of[at] == TABLE_ROW and kind == TABLE_ROW):
                closed = at
        return -1
    if kind in (LIST_ITEM, TERM, OPTION):
        for at in range(depth - 1, -1, -1):
            if kinds_of[at] == kind:
                return at
            special = names[at] != _P and names[at] != _DIV and names[at] != _ADDRESS
            if kind == OPTION or (kinds_of[at] != NESTS and special):
                return depth
    return depth


@numba.njit(cache=True, nogil=True)
def _close_named(names, kinds_of, depth, name, kind):  # type: ignore[no-untyped-def]
    """Return the depth after the end tag `name`: unchanged if no element of that name is in scope."""
    crosses = name == _TABLE or kind in (TABLE_ROW, TABLE_CELL)
    for at in range(depth - 1, -1, -1):
        if names[at] == name:
            return at
        if crosses and names[at] == _TABLE:
            return depth
        if not crosses and (kinds_of[at] == BARRIER or kinds_of[at] == TABLE_CELL):
            return depth
        if kind == NESTS and kinds_of[at] != NESTS:
            return depth
    return depth


@numba.njit(cache=True, nogil=True)
def _scan(data, keys, kinds, roles, moves, found, xml, max_tags, max_nesting):  # type: ignore[no-untyped-def]
    size = data.size
    room = min(np.count_nonzero(data == 60), max_tags + 1) + 2
    parent, source = np.zeros(room, np.int32), np.zeros((room, 2), np.int32)
    role, level, bits_of = np.zeros(room, np.uint8), np.zeros(room, np.uint8), np.zeros(room, np.int64)
    tag_attributes, events = np.zeros((room, 2), np.int32), np.zeros((room, 2), np.int32)
    event_kind, event_element = np.empty(3 * room, np.uint8), np.empty(3 * room, np.int32)
    event_text = np.zeros((3 * room, 2), np.int32)
    names, kinds_of = np.zeros(max_nesting + 2, np.int64), np.zeros(max_nesting + 2, np.int64)
    stack = np.zeros(max_nesting + 2, np.int32)
    title_start, title_end = -1, -1
    at, text, depth, nesting, tags, most, foreign = 0, 0, 0, 0, 0, 0, 0
    linked = -1  # the depth at which a link was opened
    count, made = 1, 1  # events, elements
    event_kind[0], event_element[0] = OPEN, 0
    while True:
        before = next_markup(data, at)
        if before > text:
            event_kind[count] = LINKED if linked >= 0 else TEXT
            event_element[count] = stack[depth - 1] if depth else 0
            event_text[count, 0], event_text[count, 1] = text, before
            count += 1
        if before == size or tags > max_tags or depth > max_nesting:
            break
        tags += 1
        end_tag = data[before + 1] == 47
        name_start = before + 2 if end_tag else before + 1
        if name_start >= size or not 97 <= (data[name_start] | 32) <= 122:
            text = at = after_declaration(data, before)
            continue
        name, after_name = read_name(data, name_start)
        attribute_count, bits, address, self_closing, at = attributes(data, after_name, moves, found)
        text = at
        most = max(most, attribute_count)
        slot = slot_of(name, keys)
        kind = kinds[slot]
        if kind == FORMATTING:
            if name == _A:
                linked = depth if address and not end_tag else -1
            continue
        closed = depth
        if end_tag:
            if kind != VOID:
                closed = _close_named(names, kinds_of, depth, name, kind)
        elif kind != VOID or roles[slot] == RULE:
            closed = _close_implied(names, kinds_of, depth, name, kind)
            if closed < 0:
                continue
        while depth > closed:
            depth -= 1
            element = stack[depth]
            event_kind[count], event_element[count] = CLOSE, element
            events[element, 1] = count
            source[element, 1] = at if end_tag and depth == closed else before
            count += 1
            if names[depth] in (_SVG, _MATH):
                foreign -= 1
        if linked > depth:
            linked = -1
        if end_tag:
            continue
        start = before
        empty = kind == VOID or (self_closing and (foreign > 0 or xml))
        what = roles[slot]
        if kind == RAW and foreign == 0 and not empty:
            start, at = at, after_raw_text(data, at, name)
            text = at
            if name == _TITLE and title_start < 0:
                title_start, title_end = start, at
            if name != _SCRIPT or not holds(data, after_name, start, _MATH_TEX):
                continue
            what, empty = TEX, True
        if empty and what == INLINE:
            continue
        element = made
        made += 1
        parent[element] = stack[depth - 1] if depth else 0
        role[element], bits_of[element] = what, bits
        level[element] = data[after_name - 1] - 48 if what == HEADING else 0
        tag_attributes[element, 0], tag_attributes[element, 1] = after_name, start if what == TEX else text
        source[element, 0], source[element, 1] = start, at
        event_kind[count], event_element[count] = OPEN, element
        events[element, 0] = count
        count += 1
        if empty:
            event_kind[count], event_element[count] = CLOSE, element
            events[element, 1] = count
            count += 1
            continue
        names[depth], kinds_of[depth], stack[depth] = name, kind, element
        depth += 1
        nesting = max(nesting, depth)
        if name in (_SVG, _MATH):
            foreign += 1
    while depth > 0:
        depth -= 1
        event_kind[count], event_element[count] = CLOSE, stack[depth]
        events[stack[depth], 1] = count
        source[stack[depth], 1] = size
        count += 1
    event_kind[count], event_element[count] = CLOSE, 0
    events[0, 1] = count
    count += 1
    return (
        parent[:made],
        role[:made],
        level[:made],
        bits_of[:made],
        source[:made],
        tag_attributes[:made],
        events[:made],
        event_kind[:count],
        event_element[:count],
        event_text[:count],
        (title_start, title_end),
        nesting,
        tags,
        most,
    )

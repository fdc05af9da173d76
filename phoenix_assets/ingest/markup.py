"""Measure HTML before parsing it: nesting, elements, attributes.

Extraction takes time in proportion to nesting times elements, and HTML's error recovery repeats unclosed
formatting elements in every block, so a page of some kilobytes can cost gigabytes. The scan follows the tag
states of the WHATWG tokenizer and the parts of tree construction that close elements, and costs a small part
of a parse.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types of its kernels

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

KERNEL_VERSION: Final = "1"

_VOID: Final = "area base br col embed hr img input link meta param source track wbr html head body"
_FORMATTING: Final = "a b big code em font i nobr s small strike strong tt u"
_BARRIER: Final = "table caption template object applet marquee button select svg math"
_BLOCK: Final = (
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup iframe main menu nav ol pre search section summary ul"
)
_RAW_TEXT: Final = "script style textarea title xmp noframes"

_INLINE, _IS_VOID, _IS_FORMATTING, _IS_BARRIER, _IS_BLOCK, _IS_RAW, _IS_P = range(7)
_IS_ITEM, _IS_TERM, _IS_OPTION, _IS_ROW, _IS_CELL = range(7, 12)
_SLOTS: Final = 1024
_STACK: Final = 1 << 12  # deeper pages are over any limit that a setting may have


def _hash(name: str) -> int:
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _table() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    keys = np.full(_SLOTS, -1, np.int64)
    kinds = np.zeros(_SLOTS, np.int64)
    for kind, names in (
        (_IS_VOID, _VOID),
        (_IS_FORMATTING, _FORMATTING),
        (_IS_BARRIER, _BARRIER),
        (_IS_BLOCK, _BLOCK),
        (_IS_RAW, _RAW_TEXT),
        (_IS_P, "p"),
        (_IS_ITEM, "li"),
        (_IS_TERM, "dd dt"),
        (_IS_OPTION, "option optgroup"),
        (_IS_ROW, "tr tbody thead tfoot"),
        (_IS_CELL, "td th"),
    ):
        for name in names.split():
            slot = _hash(name) % _SLOTS
            while keys[slot] >= 0:
                slot = (slot + 1) % _SLOTS
            keys[slot], kinds[slot] = _hash(name), kind
    return keys, kinds


_KEYS, _KINDS = _table()
_TABLE, _SVG, _MATH = _hash("table"), _hash("svg"), _hash("math")
_PASSED: Final = np.array([_hash(name) for name in ("p", "div", "address")], np.int64)


@dataclass(frozen=True, slots=True)
class Markup:
    """What a page's markup amounts to. `nodes` counts the elements that the parser will have to build."""

    nesting: int
    tags: int
    nodes: int
    attributes: int


def measure(html: bytes) -> Markup:
    """Return the measures of a page in UTF-8."""
    nesting, tags, nodes, attributes = _scan(np.frombuffer(html, np.uint8), _KEYS, _KINDS, _PASSED)
    return Markup(int(nesting), int(tags), int(nodes), int(attributes))


@numba.njit(cache=True, nogil=True)
def _kind(name, keys, kinds):  # type: ignore[no-untyped-def]
    slot = name % _SLOTS
    while keys[slot] >= 0:
        if keys[slot] == name:
            return kinds[slot]
        slot = (slot + 1) % _SLOTS
    return _INLINE


@numba.njit(cache=True, nogil=True)
def _after_comment(data, at):  # type: ignore[no-untyped-def]
    """Return the position after the comment whose "<!--" ends before `at`."""
    size = data.size
    if at < size and data[at] == 62:
        return at + 1
    if at + 1 < size and data[at] == 45 and data[at + 1] == 62:
        return at + 2
    while at + 2 < size:
        if data[at] == 45 and data[at + 1] == 45:
            if data[at + 2] == 62:
                return at + 3
            if data[at + 2] == 33 and at + 3 < size and data[at + 3] == 62:
                return at + 4
        at += 1
    return size


@numba.njit(cache=True, nogil=True)
def _tag_name(data, at):  # type: ignore[no-untyped-def]
    """Return the hash of the lower-case tag name at `at`, and the position after it."""
    name = np.int64(5381)
    while at < data.size:
        byte = data[at]
        if byte <= 32 or byte == 47 or byte == 62:
            break
        if 65 <= byte <= 90:
            byte += 32
        name = (name * 33 + byte) & 0xFFFFFFFF
        at += 1
    return name, at


@numba.njit(cache=True, nogil=True)
def _attributes(data, at):  # type: ignore[no-untyped-def]
    """Return (attributes, is self-closing, position after ">") of the tag whose name ends at `at`."""
    size, count, slash = data.size, 0, False
    while at < size:
        byte = data[at]
        if byte == 62:
            return count, slash, at + 1
        if byte <= 32 or byte == 47:
            slash = byte == 47
            at += 1
            continue
        count += 1
        slash = False
        at += 1  # also a leading "=" belongs to the name
        while at < size and data[at] > 32 and data[at] != 47 and data[at] != 62 and data[at] != 61:
            at += 1
        after = at
        while after < size and data[after] <= 32:
            after += 1
        if after >= size or data[after] != 61:
            continue
        at = after + 1
        while at < size and data[at] <= 32:
            at += 1
        if at < size and (data[at] == 34 or data[at] == 39):
            quote = data[at]
            at += 1
            while at < size and data[at] != quote:
                at += 1
            at += 1
        else:
            while at < size and data[at] > 32 and data[at] != 62:
                at += 1
    return count, slash, size


@numba.njit(cache=True, nogil=True)
def _after_raw_text(data, at, name):  # type: ignore[no-untyped-def]
    """Return the position of the end tag of the raw text element `name` whose content begins at `at`."""
    while at + 1 < data.size:
        if data[at] == 60 and data[at + 1] == 47:
            closing, _ = _tag_name(data, at + 2)
            if closing == name:
                return at
        at += 1
    return data.size


@numba.njit(cache=True, nogil=True)
def _close_implied(stack, kinds_of, depth, kind, passed):  # type: ignore[no-untyped-def]
    """Return the depth after what a start tag of this kind closes: a paragraph, an item of the same kind.

    -1: the tag is ignored, as rows and cells are outside a table.
    """
    if kind == _INLINE:
        return depth
    at = depth - 1
    while at >= 0 and kinds_of[at] == _INLINE:
        at -= 1
    if at >= 0 and kinds_of[at] == _IS_P:
        depth = at
    if kind in (_IS_ROW, _IS_CELL):
        closed = depth
        for at in range(depth - 1, -1, -1):
            if stack[at] == _TABLE:
                return closed
            if kinds_of[at] == _IS_CELL or (kinds_of[at] == _IS_ROW and kind == _IS_ROW):
                closed = at
        return -1
    if kind in (_IS_ITEM, _IS_TERM, _IS_OPTION):
        for at in range(depth - 1, -1, -1):
            if kinds_of[at] == kind:
                return at
            special = stack[at] != passed[0] and stack[at] != passed[1] and stack[at] != passed[2]
            if kind == _IS_OPTION or (kinds_of[at] != _INLINE and special):
                return depth
    return depth


@numba.njit(cache=True, nogil=True)
def _close_named(stack, kinds_of, depth, name, kind):  # type: ignore[no-untyped-def]
    """Return the depth after the end tag `name`: unchanged if no element of that name is in scope."""
    crosses = name == _TABLE or kind in (_IS_ROW, _IS_CELL)
    for at in range(depth - 1, -1, -1):
        if stack[at] == name:
            return at
        if crosses and stack[at] == _TABLE:
            return depth
        if not crosses and (kinds_of[at] == _IS_BARRIER or kinds_of[at] == _IS_CELL):
            return depth
        if kind == _INLINE and kinds_of[at] != _INLINE:
            return depth
    return depth


@numba.njit(cache=True, nogil=True)
def _scan(data, keys, kinds, passed):  # type: ignore[no-untyped-def]
    size, at = data.size, 0
    depth, nesting, tags, nodes, most, foreign = 0, 0, 0, 0, 0, 0
    stack = np.zeros(_STACK, np.int64)
    kinds_of = np.zeros(_STACK, np.int64)
    unclosed = np.zeros(_SLOTS, np.int64)  # formatting elements, by slot of their name
    formatting = 0
    while at + 1 < size:
        if data[at] != 60:
            at += 1
            continue
        first = data[at + 1]
        if first == 33 and at + 3 < size and data[at + 2] == 45 and data[at + 3] == 45:
            at = _after_comment(data, at + 4)
            continue
        end_tag = first == 47
        letter = (data[at + 2] | 32) if end_tag and at + 2 < size else (first | 32)
        if not 97 <= letter <= 122:
            at += 1
            continue
        name, at = _tag_name(data, at + 2 if end_tag else at + 1)
        count, self_closing, at = _attributes(data, at)
        kind = _kind(name, keys, kinds)
        tags += 1
        most = max(most, count)
        if kind == _IS_FORMATTING:
            slot = name % _SLOTS
            change = -1 if end_tag else 1
            if unclosed[slot] + change >= 0:
                unclosed[slot] += change
                formatting += change
            nodes += 1
            continue
        if kind == _IS_VOID:
            nodes += 1
            continue
        if end_tag:
            depth = _close_named(stack, kinds_of, depth, name, kind)
            if name in (_SVG, _MATH):
                foreign = max(foreign - 1, 0)
            continue
        nodes += 1 + (formatting if kind != _INLINE else 0)
        if self_closing and foreign > 0:
            continue
        if kind == _IS_RAW and foreign == 0:
            at = _after_raw_text(data, at, name)
            continue
        opened = _close_implied(stack, kinds_of, depth, kind, passed)
        if opened < 0:
            continue
        depth = opened
        if name in (_SVG, _MATH):
            foreign += 1
        if depth == _STACK:
            break
        stack[depth], kinds_of[depth] = name, kind
        depth += 1
        nesting = max(nesting, depth)
    return nesting, tags, nodes, most

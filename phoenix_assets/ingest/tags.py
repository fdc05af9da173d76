"""HTML's tags: how each opens and closes others, and what it is to a reader of the page.

Names are found by their hash (djb2, 32 bits) in one open table, which the kernels take as arrays.
"""

# ruff: noqa: ANN001, ANN201 - numba infers the types of its kernels

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

KERNEL_VERSION: Final = "1"

# How a tag opens and closes others.
NESTS, VOID, FORMATTING, BARRIER, BLOCK_LEVEL, RAW, CLOSED_BY_BLOCKS = range(7)
LIST_ITEM, TERM, OPTION, TABLE_ROW, TABLE_CELL = range(7, 12)
_NESTING: Final = {
    VOID: "area base br col embed hr img input link meta param source track wbr html head body",
    FORMATTING: "a b big em font i nobr s small strike strong tt u",
    BARRIER: "table caption template object applet marquee button select svg math",
    BLOCK_LEVEL: (
        "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer "
        "form h1 h2 h3 h4 h5 h6 header hgroup main menu nav ol pre search section summary ul"
    ),
    RAW: "script style textarea title xmp noframes iframe",
    CLOSED_BY_BLOCKS: "p",
    LIST_ITEM: "li",
    TERM: "dd dt",
    OPTION: "option optgroup",
    TABLE_ROW: "tr tbody thead tfoot",
    TABLE_CELL: "td th",
}

# What an element is to a reader of the page.
(
    INLINE,
    BLOCK,
    PARAGRAPH,
    HEADING,
    BREAK,
    RULE,
    IMAGE,
    PREFORMATTED,
    TABLE,
    ROW,
    CELL,
    HEAD_CELL,
    ITEM,
    LIST,
) = range(14)
(ORDERED, NO_TEXT, ASIDE, MATH, TEX, MAIN, CAPTION, CONTROL, NAVIGATION) = range(14, 23)
_ROLES: Final = {
    BLOCK: (
        "address blockquote center dd details dialog dir div dl dt fieldset figcaption figure form header hgroup "
        "section summary tbody thead tfoot"
    ),
    PARAGRAPH: "p",
    HEADING: "h1 h2 h3 h4 h5 h6",
    BREAK: "br",
    RULE: "hr",
    IMAGE: "img",
    PREFORMATTED: "pre xmp",
    TABLE: "table",
    ROW: "tr",
    CELL: "td",
    HEAD_CELL: "th",
    ITEM: "li",
    LIST: "ul",
    ORDERED: "ol",
    NO_TEXT: "script style noscript template svg object applet iframe noframes textarea title audio video canvas map",
    ASIDE: "aside",
    NAVIGATION: "nav footer menu search",
    MATH: "math",
    MAIN: "main article",
    CAPTION: "caption",
    CONTROL: "button select option optgroup datalist label legend",
}
_SLOTS: Final = 1024
_LAST: Final = -1


def name_hash(name: str) -> int:
    """Return the number that stands for a lower-case name."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _slot(keys: npt.NDArray[np.int64], name: str) -> int:
    slot = name_hash(name) % _SLOTS
    while keys[slot] not in (_LAST, name_hash(name)):
        slot = (slot + 1) % _SLOTS
    return slot


def _tables() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    keys = np.full(_SLOTS, _LAST, np.int64)
    kinds, roles = np.zeros(_SLOTS, np.int64), np.zeros(_SLOTS, np.uint8)
    for meanings, values in ((_NESTING, kinds), (_ROLES, roles)):
        for meaning, names in meanings.items():
            for name in names.split():
                slot = _slot(keys, name)
                keys[slot], values[slot] = name_hash(name), meaning
    return keys, kinds, roles


KEYS, KINDS, ROLES = _tables()


@numba.njit(cache=True, nogil=True)
def slot_of(name, keys):  # type: ignore[no-untyped-def]
    """Return the slot of a known tag name, else that of an empty entry: inline, with no role."""
    slot = name % _SLOTS
    while keys[slot] != _LAST and keys[slot] != name:
        slot = (slot + 1) % _SLOTS
    return slot

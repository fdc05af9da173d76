"""Find the main content of a page: which element holds it, and what inside does not belong.

A text is worth its length less that of its links and a fixed cost. An element is worth what its parts are worth
together, those that are worth something. From the page downward the most valuable child is followed as long as it
holds most of its parent's worth. Left out on the way and from what was found: what is hidden, what calls itself
boilerplate (unless it holds most of the page: a `page-with-sidebar`), and what mostly consists of links. Lengths are
bytes of UTF-8, so that a Chinese character counts for about as much as half an English word.
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types of its kernels

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.ingest.config import MainContent
from phoenix_assets.ingest.keywords import Automaton, automaton
from phoenix_assets.ingest.markup import LINKED, TEXT, Page
from phoenix_assets.ingest.tags import (
    ASIDE,
    BREAK,
    CONTROL,
    HEADING,
    IMAGE,
    INLINE,
    MATH,
    NAVIGATION,
    NO_TEXT,
    PARAGRAPH,
    PREFORMATTED,
    TABLE,
)
from phoenix_assets.ingest.tokenizer import DECORATION, HIDDEN

KERNEL_VERSION: Final = "1"

# Bits that keywords give an element, beside those of markup.
BOILERPLATE, BESIDE, COMMENTS, NOISE = 4, 8, 16, 32
OUTSIDE, INSIDE, GONE = range(3)  # states of elements


def keywords(config: MainContent) -> Automaton:
    """Return the keywords of class names and ids, as `markup.scan` takes them."""
    return automaton(
        {
            BOILERPLATE: config.boilerplate,
            BESIDE: config.beside,
            COMMENTS: config.comments,
            NOISE: config.noise,
        }
    )


def find_main_content(page: Page, config: MainContent) -> tuple[npt.NDArray[np.uint8], int]:
    """Return each element's state, and the element that holds the main content."""
    state, top = _main_content(
        page.data, page.parent, page.role, page.bits, page.event_kind, page.event_element, page.event_text,
        config.text_cost, config.followed_share, config.direct_share, config.kept_share, config.kept_comments_share, config.flow_texts, config.link_share,
        config.dropped_share, config.cell_links,
    )  # fmt: skip
    return state, int(top)


def visible_content(page: Page) -> tuple[npt.NDArray[np.uint8], int]:
    """Return each element's state when all that can be seen counts, and the root."""
    return np.where(_unseen(page.parent, page.role, page.bits), GONE, INSIDE).astype(np.uint8), 0


@numba.njit(cache=True, nogil=True)
def _length(data, start, end):  # type: ignore[no-untyped-def]
    """Return the bytes of a text without white space; a character reference counts one, `&nbsp;` none."""
    length, at = 0, start
    while at < end:
        byte = data[at]
        if byte == 38:
            after = at + 1
            while after < min(end, at + 10) and data[after] > 32 and data[after] != 59:
                after += 1
            if after < end and data[after] == 59:
                length += not (data[at + 1] == 110 and data[at + 2] == 98)
                at = after + 1
                continue
        length += byte > 32
        at += 1
    return length


@numba.njit(cache=True, nogil=True)
def _unseen(parent, role, bits):  # type: ignore[no-untyped-def]
    unseen = np.zeros(role.size, np.bool_)
    for element in range(1, role.size):
        what = role[element]
        unseen[element] = (
            unseen[parent[element]]
            or what in (NO_TEXT, CONTROL)
            or (bits[element] & (HIDDEN | NOISE)) != 0
            or (bits[element] & DECORATION and what in (INLINE, IMAGE))
        )
        if what == MATH:  # hidden beside a picture of it
            shown = element
            while unseen[shown] and role[shown] != NO_TEXT:
                unseen[shown] = False
                shown = parent[shown]
    return unseen


@numba.njit(cache=True, nogil=True)
def _words(parent, role):  # type: ignore[no-untyped-def]
    """Tell which elements are words of a sentence, whatever they are called: inline, with nothing else inside."""
    words = role == INLINE
    for element in range(role.size - 1, 0, -1):
        if not words[element] and role[element] != IMAGE and role[element] != BREAK:
            words[parent[element]] = False
    return words


@numba.njit(cache=True, nogil=True)
def _lengths(data, parent, role, unseen, event_kind, event_element, event_text):  # type: ignore[no-untyped-def]
    """Return (plain text, text of links, links) of every element: its own, which inline elements give to their block."""
    block = np.zeros(role.size, np.int32)
    for element in range(1, role.size):
        block[element] = element if role[element] != INLINE else block[parent[element]]
    plain, linked, links = (
        np.zeros(role.size, np.int64),
        np.zeros(role.size, np.int64),
        np.zeros(role.size, np.int64),
    )
    for index in range(event_kind.size):
        element = event_element[index]
        if event_kind[index] < TEXT or unseen[element]:
            continue
        length = _length(data, event_text[index, 0], event_text[index, 1])
        if event_kind[index] == LINKED:
            linked[block[element]] += length
            links[block[element]] += 1
        else:
            plain[block[element]] += length
    return plain, linked, links


@numba.njit(cache=True, nogil=True)
def _main_content(  # type: ignore[no-untyped-def]
    data,
    parent,
    role,
    bits,
    event_kind,
    event_element,
    event_text,
    text_cost,
    followed_share,
    direct_share,
    kept_share,
    kept_comments_share,
    flow_texts,
    link_share,
    dropped_share,
    cell_links,
):
    size = role.size
    dropped = _unseen(parent, role, bits)
    plain, linked, links = _lengths(data, parent, role, dropped, event_kind, event_element, event_text)
    worth = np.zeros(size, np.float64)
    for element in range(size):
        if plain[element] + linked[element] and role[element] != HEADING:
            worth[element] = plain[element] - linked[element] - text_cost
    for element in range(size - 1, 0, -1):
        plain[parent[element]] += plain[element]
        linked[parent[element]] += linked[element]
        links[parent[element]] += links[element]
    words, texts = _words(parent, role), np.zeros(size, np.int32)
    for element in range(1, size):
        texts[parent[element]] += worth[element] > 0 and not words[element]
    for element in range(1, size):
        if words[element]:
            kept = 0.0
        elif bits[element] & COMMENTS:
            kept = kept_comments_share
        elif bits[element] & BOILERPLATE or role[element] == NAVIGATION:
            kept = kept_share
        elif (bits[element] & BESIDE or role[element] == ASIDE) and texts[parent[element]] < flow_texts:
            kept = kept_share  # not where it stands among texts, as a box in a book does
        else:
            kept = 0.0
        dropped[element] |= dropped[parent[element]] or plain[element] < kept * plain[0]
    best, direct = np.zeros(size, np.int32), np.maximum(worth, 0.0)
    for element in range(size - 1, 0, -1):
        if not dropped[element] and worth[element] > 0:
            above = parent[element]
            worth[above] += worth[element]
            if role[element] == PARAGRAPH or role[element] == PREFORMATTED:
                direct[above] += worth[element]
            if best[above] == 0 or worth[element] >= worth[best[above]]:
                best[above] = element
    top = 0
    while best[top] and worth[best[top]] >= followed_share * worth[top]:
        if role[best[top]] in (PARAGRAPH, HEADING, PREFORMATTED) or direct[top] > direct_share * worth[top]:
            break
        top = best[top]
    state, in_table = np.zeros(size, np.uint8), np.zeros(size, np.bool_)
    state[top] = INSIDE
    for element in range(top + 1, size):
        above = parent[element]
        if state[above] == OUTSIDE:
            continue
        in_table[element] = in_table[above] or role[above] == TABLE
        gone = (
            state[above] == GONE
            or dropped[element]
            or (
                role[element] != INLINE
                and linked[element] > link_share * (plain[element] + linked[element])
                and plain[element] < dropped_share * plain[top]
                and (links[element] >= cell_links or not in_table[element])
            )
        )
        state[element] = GONE if gone else INSIDE
    return state, top

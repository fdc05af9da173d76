"""Terms of word lists, found in texts: all of them at once, each with a number, its level.

The terms are one trie. Walking it from every word would be dear, and nearly always in vain: so a text's places go through
sieves first. A term may begin where the trait of a character and of the one before it say so; of these places, where the
hashes of the first two and three characters are those of a term's; of these, where the hashes of ever more characters
are, up to a whole term. What is left is looked up in the trie itself.

Latin terms match as whole words, in any case; Chinese terms where jieba's dictionary cuts. Its version is that of `safety`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Codepoints, Flags, Ints, Points, codepoints, near
from phoenix_assets.clean.characters import UNICODE_SIZE, lower_table
from phoenix_assets.clean.dictionary import dictionary
from phoenix_assets.clean.personal_candidates import is_alphanumeric
from phoenix_assets.clean.segmentation import cut_words

ASCII: Final = 128
OPENING_BITS: Final = 17
ALPHANUMERIC, BEGINS = 1, 2  # bits: of a word in ASCII; a term begins with this character, in either case
PART, WHOLE = 1, 2  # bits: a term begins with these characters; a term is these characters


@dataclass(frozen=True)
class TermTrie:
    """Terms as a trie of siblings: node n has a character, its first child, its next sibling, and a level or -1."""

    roots: npt.NDArray[np.int32]  # by character; 0: no term begins so
    character: Points
    child: npt.NDArray[np.int32]
    sibling: npt.NDArray[np.int32]
    level: npt.NDArray[np.int8]
    openings: (
        Bytes  # by `_place` of the hash of two or more characters: PART, WHOLE; 0 where no term begins so
    )
    traits: Bytes  # by character: ALPHANUMERIC, BEGINS

    def arrays(self) -> tuple[Any, ...]:
        """Return the arrays as the kernels take them."""
        return self.roots, self.character, self.child, self.sibling, self.level, self.openings, self.traits


def term_trie(terms: Mapping[str, int]) -> TermTrie:
    """Return the trie of terms of two or more characters, in lower case, each with its level."""
    children: list[dict[int, int]] = [{}]
    characters, levels = [0], [-1]
    for term, level in sorted(terms.items()):
        node = 0
        for c in codepoints(pl.Series([term])).values.tolist():
            if c not in children[node]:
                children[node][c] = len(children)
                children.append({})
                characters.append(c)
                levels.append(-1)
            node = children[node][c]
        levels[node] = level
    roots = np.zeros(UNICODE_SIZE, np.int32)
    roots[list(children[0])] = list(children[0].values())
    child, sibling = _linked(children)
    return TermTrie(
        roots,
        np.array(characters, np.uint32),
        child,
        sibling,
        np.array(levels, np.int8),
        _openings(children, levels),
        _traits(roots),
    )


def count_terms(texts: Codepoints, trie: TermTrie, levels: int) -> tuple[Ints, Ints]:
    """Return, a row a level and a column a text, how many terms match and how many characters they have."""
    longest = texts.longest
    matches, characters = np.zeros((2, levels, len(texts)), np.int64)
    memory = (
        np.empty(longest + 1, np.float64),
        np.empty(longest + 1, np.int64),
        np.empty(longest + 1, np.bool_),
        np.empty(longest + 1, np.uint32),
        np.empty(longest + 1, np.uint32),
    )
    words = dictionary().arrays()
    _match(texts.offsets, texts.values, trie.arrays(), lower_table(), words, memory, matches, characters)
    return matches, characters


def _linked(children: list[dict[int, int]]) -> npt.NDArray[np.int32]:
    """Return each node's first child and its next sibling, 0 for none."""
    child, sibling = links = np.zeros((2, len(children)), np.int32)
    for node, below in enumerate(children):
        for first, second in pairwise([*below.values(), 0]):
            sibling[first] = second
        child[node] = next(iter(below.values()), 0)
    return links


def _openings(children: list[dict[int, int]], levels: list[int]) -> Bytes:
    openings = np.zeros(1 << OPENING_BITS, np.uint8)
    hashes = np.zeros(len(children), np.uint32)
    for node, below in enumerate(children):
        for c, longer in below.items():
            hashes[longer] = _extended(hashes[node], np.uint32(c))
            openings[_place(hashes[longer])] |= WHOLE | PART if levels[longer] >= 0 else PART
    return openings


def _traits(roots: npt.NDArray[np.int32]) -> Bytes:
    lowered = np.arange(len(roots))
    lowered[: len(lower_table())] = lower_table()
    traits = np.where(roots[lowered] > 0, BEGINS, 0).astype(np.uint8)
    traits[:ASCII] |= np.array([ALPHANUMERIC if is_alphanumeric(c) else 0 for c in range(ASCII)], np.uint8)
    return traits


@njit(cache=True, nogil=True, inline="always")
def _extended(
    opening: Any,
    c: Any,
) -> Any:
    """Return the hash of characters and one more, of their hash (of none: 0)."""
    return np.uint32((np.uint32(opening) * np.uint32(31) ^ np.uint32(c)) * np.uint32(0x9E3779B1))


@njit(cache=True, nogil=True, inline="always")
def _place(
    opening: Any,
) -> Any:
    return np.uint32(opening) >> np.uint32(32 - OPENING_BITS)


@njit(cache=True, nogil=True)
def _longest_at(
    text: Points,
    i: int,
    matcher: Any,
    lower: Any,
    boundaries: Flags,
    cut: bool,
) -> tuple[int, int]:
    """Return end and level of the longest term that begins at `i`; level -1 for none. `cut`: at `boundaries` only."""
    roots, character, child, sibling, level, _, _ = matcher
    found, found_level = i, -1
    node = roots[_lowered(text[i], lower)]
    j = i
    while node > 0:
        j += 1
        if level[node] >= 0 and _ends_word(text, j) and (not cut or text[i] < ASCII or boundaries[j]):
            found, found_level = j, level[node]
        if j == len(text):
            break
        c = _lowered(text[j], lower)
        node = child[node]
        while node > 0 and character[node] != c:
            node = sibling[node]
    return found, found_level


@njit(cache=True, nogil=True, inline="always")
def _lowered(
    c: Any,
    lower: Any,
) -> Any:
    return np.uint32(lower[c]) if c < len(lower) else np.uint32(c)


@njit(cache=True, nogil=True)
def _ends_word(
    text: Points,
    end: int,
) -> bool:
    inside = end < len(text) and is_alphanumeric(text[end]) and is_alphanumeric(text[end - 1])
    return not inside


@njit(cache=True, nogil=True)
def _candidates(
    text: Points,
    lower: Any,
    openings: Bytes,
    traits: Bytes,
    places: Points,
) -> Any:
    """Write the places where a term may begin; return how many.

    Each place is written, and kept only if it counts: branches here would be guessed wrong at most words.
    """
    one, last = np.uint64(1), np.uint64(max(0, len(text) - 1))
    count, before = np.uint64(0), np.uint64(0)
    for i in range(last):
        trait = np.uint64(traits[text[i]])
        places[count] = i
        count += trait // np.uint64(BEGINS) & ~(trait & before) & one
        before = trait
    starts, count = count, np.uint64(0)
    for k in range(starts):
        at = np.uint64(places[k])
        two = _extended(_extended(np.uint32(0), _lowered(text[at], lower)), _lowered(text[at + one], lower))
        three = _extended(two, _lowered(text[at + one + one], lower)) if at + one < last else two
        opens = openings[_place(two)] // np.uint8(WHOLE) | openings[_place(three)]
        places[count] = at
        count += np.uint64(opens) & one
    opened, count = count, np.uint64(0)
    for k in range(opened):
        places[count] = places[k]
        count += np.uint64(_spells(text, np.int64(places[k]), lower, openings))
    return np.int64(count)


@njit(cache=True, nogil=True)
def _spells(
    text: Points,
    i: int,
    lower: Any,
    openings: Bytes,
) -> bool:
    """Return whether, by hashes of its first characters, a term may begin at `i`: True where one does."""
    opening = _extended(np.uint32(0), _lowered(text[i], lower))
    for j in range(i + 1, len(text)):
        opening = _extended(opening, _lowered(text[j], lower))
        known = openings[_place(opening)]
        if known == 0:
            return False
        if known & WHOLE and _ends_word(text, j + 1):
            return True
    return False


@njit(cache=True, nogil=True)
def _match_text(
    text: Points,
    places: Points,
    matcher: Any,
    lower: Any,
    boundaries: Flags,
    cut: bool,
    matches: Ints,
    characters: Ints,
) -> bool:
    """Count matches and their characters by level; a term may begin at `places`.

    Without `cut`, give up and return False at a Chinese term: only a text that was cut tells whether it is one.
    """
    end = 0
    for place in places:
        i = np.int64(place)
        if i < end or (cut and text[i] >= ASCII and not boundaries[i]):
            continue
        after, level = _longest_at(text, i, matcher, lower, boundaries, cut)
        if level < 0:
            continue
        if not cut and text[i] >= ASCII:
            matches[:], characters[:] = 0, 0
            return False
        matches[level] += 1
        characters[level] += after - i
        end = after
    return True


@njit(cache=True, nogil=True)
def _match(
    offsets: Ints,
    values: Points,
    matcher: Any,
    lower: Any,
    words: Any,
    memory: Any,
    matches: Ints,
    characters: Ints,
) -> None:
    entries, bitmap, singles, weights, in_run = words
    scores, ends, boundaries, found, room = memory
    openings, traits = matcher[-2:]
    for row in range(len(offsets) - 1):
        text = near(values[offsets[row] : offsets[row + 1]], room)
        places = found[: _candidates(text, lower, openings, traits, found)]
        if _match_text(text, places, matcher, lower, boundaries, False, matches[:, row], characters[:, row]):
            continue
        boundaries[: len(text) + 1] = False
        boundaries[0] = True
        for k in range(cut_words(text, entries, bitmap, singles, weights, in_run, scores, ends)):
            boundaries[ends[k]] = True
        _match_text(text, places, matcher, lower, boundaries, True, matches[:, row], characters[:, row])

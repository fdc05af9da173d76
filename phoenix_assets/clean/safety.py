"""Safety labels: matches of word lists, by level, and which level names the document's label.

All lists are one trie (`_Matcher`) that is walked from every three characters with which a term can begin. Latin terms match as
whole words, in any case. Chinese terms match where jieba's dictionary cuts: 口交 is no match in 路口交通. Texts are cut
only if they have a candidate. A level's value is the share of characters in its matches; below the level's
`minimum_matches` it is 0. The label is the first level, in the order of `SAFETY`, whose rule fails.

A label says what a text is about, not what it is for: an encyclopedia's article about a drug has the label of drugs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit
from pydantic import TypeAdapter

from phoenix_assets.clean.buffers import Codepoints, Flags, Ints, Points, codepoints
from phoenix_assets.clean.dictionary import dictionary
from phoenix_assets.clean.personal_candidates import is_alphanumeric
from phoenix_assets.clean.profiles import SAFETY, FilterProfile, Rule, SafetyList
from phoenix_assets.clean.segmentation import cut_words
from phoenix_assets.clean.wordlists import flagged_words
from phoenix_assets.clean.words import lower_table

KERNEL_VERSION: Final = "1"

LEVELS: Final = tuple(SAFETY)
LANGUAGES: Final = ("zh", "en")
ASCII: Final = 128
OPENING_BITS: Final = 18
SHORTEST: Final = 2  # characters of a term
ALPHANUMERIC, BEGINS = 1, 2  # bits: of a word in ASCII; a term begins with this character, in either case
_LISTS: Final = TypeAdapter(dict[Rule, SafetyList])


@dataclass(frozen=True)
class _Matcher:
    """Terms as a trie of siblings: node n has a character, its first child, its next sibling, and a level or -1."""

    roots: npt.NDArray[np.int32]  # by character; 0: no term begins so
    character: Points
    child: npt.NDArray[np.int32]
    sibling: npt.NDArray[np.int32]
    level: npt.NDArray[np.int8]
    openings: Flags  # by `_opening` of three characters (of two and 0): false where no term begins with them
    traits: npt.NDArray[np.uint8]  # by character: ALPHANUMERIC, BEGINS

    def arrays(self) -> tuple[Any, ...]:
        """Return the arrays as the kernels take them."""
        return self.roots, self.character, self.child, self.sibling, self.level, self.openings, self.traits


def safety_values(texts: Codepoints, profile: FilterProfile) -> pl.DataFrame:
    """Return one row a text and a Float64 column a level of `SAFETY`: the share of characters in its matches."""
    matcher, minimum = _matcher(_LISTS.dump_json(dict(profile.safety)))
    length = np.diff(texts.offsets)
    longest = int(length.max(initial=0))
    matches, characters = np.zeros((2, len(LEVELS), len(texts)), np.int64)
    memory = (
        np.empty(longest + 1, np.float64),
        np.empty(longest + 1, np.int64),
        np.empty(longest + 1, np.bool_),
    )
    _match(
        texts.offsets,
        texts.values,
        matcher.arrays(),
        lower_table(),
        dictionary().arrays(),
        memory,
        matches,
        characters,
    )
    shares = np.where(matches >= minimum[:, None], characters / np.maximum(length, 1), 0.0)
    return pl.DataFrame([pl.Series(rule.value, share) for rule, share in zip(LEVELS, shares, strict=True)])


def label(rules: tuple[Rule, ...], conditions: Flags) -> pl.Series:
    """Return each document's label, "" for none, from the conditions of a profile's `rules`, a column a rule."""
    places = [place for place, rule in enumerate(rules) if rule in SAFETY]
    names = pl.Series([SAFETY[rules[place]] for place in places] + [""], dtype=pl.String)
    fails = ~conditions[:, places]
    first = (
        np.where(fails.any(axis=1), fails.argmax(axis=1), len(places))
        if places
        else np.zeros(len(fails), int)
    )
    return names.gather(first).alias("safety")


def level_terms(lists: Mapping[Rule, SafetyList]) -> dict[str, Rule]:
    """Return the level of each term, in lower case: its own list's, or else that of the first list with its package."""
    terms = {
        term.lower(): rule
        for rule, listed in reversed(list(lists.items()))
        for words in listed.terms.values()
        for term in words
    }
    for rule, listed in lists.items():
        for lang in LANGUAGES if listed.packages else ():
            excluded = {term.lower() for term in listed.excluded.get(lang, ())}
            for term in sorted(flagged_words()[lang]):
                if len(term) >= SHORTEST and term.lower() not in excluded:
                    terms.setdefault(term.lower(), rule)
    return terms


@lru_cache(maxsize=4)
def _matcher(lists_json: bytes) -> tuple[_Matcher, Ints]:
    lists = _LISTS.validate_json(lists_json)
    terms = level_terms(lists)
    minimum = np.array([lists[rule].minimum_matches if rule in lists else 1 for rule in LEVELS])
    children: list[dict[int, int]] = [{}]
    characters, levels = [0], [-1]
    for term, rule in sorted(terms.items()):
        node = 0
        for c in codepoints(pl.Series([term])).values.tolist():
            if c not in children[node]:
                children[node][c] = len(children)
                children.append({})
                characters.append(c)
                levels.append(-1)
            node = children[node][c]
        levels[node] = LEVELS.index(rule)
    return _linked(children, characters, levels), minimum


def _linked(children: list[dict[int, int]], characters: list[int], levels: list[int]) -> _Matcher:
    roots = np.zeros(0x110000, np.int32)
    child, sibling = np.zeros((2, len(children)), np.int32)
    for node, below in enumerate(children):
        for first, second in pairwise([*below.values(), 0]):
            sibling[first] = second
        child[node] = next(iter(below.values()), 0)
    openings = np.zeros(1 << OPENING_BITS, np.bool_)
    for c, node in children[0].items():
        roots[c] = node
        for second, longer in children[node].items():
            thirds = [*children[longer], *([0] if levels[longer] >= 0 else [])]
            openings[[_opening(c, second, third) for third in thirds]] = True
    traits = np.zeros(len(roots), np.uint8)
    traits[: len(lower_table())] |= np.where(roots[lower_table()] > 0, BEGINS, 0).astype(np.uint8)
    traits[len(lower_table()) :] |= np.where(roots[len(lower_table()) :] > 0, BEGINS, 0).astype(np.uint8)
    traits[:ASCII] |= np.array([ALPHANUMERIC if is_alphanumeric(c) else 0 for c in range(ASCII)], np.uint8)
    return _Matcher(
        roots, np.array(characters, np.uint32), child, sibling, np.array(levels, np.int8), openings, traits
    )


@njit(cache=True, nogil=True, inline="always")
def _opening(
    first: Any,
    second: Any,
    third: Any,
) -> Any:
    mixed = (np.uint32(first) * np.uint32(31) ^ np.uint32(second)) * np.uint32(0x9E3779B1) ^ np.uint32(third)
    return mixed & np.uint32((1 << OPENING_BITS) - 1)


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
def _match_text(
    text: Points,
    matcher: Any,
    lower: Any,
    boundaries: Flags,
    cut: bool,
    matches: Ints,
    characters: Ints,
) -> bool:
    """Count matches and their characters by level.

    Without `cut`, give up and return False at a Chinese term: only a text that was cut tells whether it is one.
    """
    openings, traits = matcher[-2], matcher[-1]
    before = np.uint8(0)
    i = 0
    while i + 1 < len(text):
        trait = traits[text[i]]
        begins = trait & BEGINS and not trait & before & ALPHANUMERIC
        before = trait
        if not begins:
            i += 1
            continue
        first, second = _lowered(text[i], lower), _lowered(text[i + 1], lower)
        third = _lowered(text[i + 2], lower) if i + 2 < len(text) else np.uint32(0)
        if not openings[_opening(first, second, third)] and not openings[_opening(first, second, 0)]:
            i += 1
            continue
        if cut and text[i] >= ASCII and not boundaries[i]:
            i += 1
            continue
        end, level = _longest_at(text, i, matcher, lower, boundaries, cut)
        if level < 0:
            i += 1
            continue
        if not cut and text[i] >= ASCII:
            matches[:], characters[:] = 0, 0
            return False
        matches[level] += 1
        characters[level] += end - i
        i = end
        before = traits[text[end - 1]]
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
    scores, ends, boundaries = memory
    for row in range(len(offsets) - 1):
        text = values[offsets[row] : offsets[row + 1]]
        if _match_text(text, matcher, lower, boundaries, False, matches[:, row], characters[:, row]):
            continue
        boundaries[: len(text) + 1] = False
        boundaries[0] = True
        for k in range(cut_words(text, entries, bitmap, singles, weights, in_run, scores, ends)):
            boundaries[ends[k]] = True
        _match_text(text, matcher, lower, boundaries, True, matches[:, row], characters[:, row])

"""Safety labels: matches of word lists, by level, and which level names the document's label.

All lists are one trie (`_Matcher`) that is walked from every pair of characters with which a term can begin. Latin terms match as
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
PAIR_BITS: Final = 16
SHORTEST: Final = 2  # characters of a term
NOTHING, LATIN_TERMS, CHINESE_TERMS = 0, 1, 2
_LISTS: Final = TypeAdapter(dict[Rule, SafetyList])


@dataclass(frozen=True)
class _Matcher:
    """Terms as a trie of siblings: node n has a character, its first child, its next sibling, and a level or -1."""

    roots: npt.NDArray[np.int32]  # by character; 0: no term begins so
    character: Points
    child: npt.NDArray[np.int32]
    sibling: npt.NDArray[np.int32]
    level: npt.NDArray[np.int8]
    pairs: Flags  # by `_pair` of two characters: false where no term begins with them

    def arrays(self) -> tuple[Any, ...]:
        """Return the arrays as the kernels take them."""
        return self.roots, self.character, self.child, self.sibling, self.level, self.pairs


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
    pairs = np.zeros(1 << PAIR_BITS, np.bool_)
    for c, node in children[0].items():
        roots[c] = node
        pairs[[_pair(c, second) for second in children[node]]] = True
    return _Matcher(roots, np.array(characters, np.uint32), child, sibling, np.array(levels, np.int8), pairs)


@njit(cache=True, nogil=True, inline="always")
def _pair(
    first: Any,
    second: Any,
) -> Any:
    return (np.uint32(first) * np.uint32(31) ^ np.uint32(second)) & np.uint32((1 << PAIR_BITS) - 1)


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
    roots, character, child, sibling, level, _ = matcher
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
) -> int:
    """Count matches and their characters by level.

    Without `cut`, only tell what there is to count: NOTHING, LATIN_TERMS or, among others, CHINESE_TERMS.
    """
    candidates = NOTHING
    pairs = matcher[-1]
    i = 0
    while i < len(text):
        begins = i + 1 < len(text) and pairs[_pair(_lowered(text[i], lower), _lowered(text[i + 1], lower))]
        if not begins or (i > 0 and is_alphanumeric(text[i]) and is_alphanumeric(text[i - 1])):
            i += 1
            continue
        if cut and text[i] >= ASCII and not boundaries[i]:
            i += 1
            continue
        end, level = _longest_at(text, i, matcher, lower, boundaries, cut)
        if level < 0:
            i += 1
            continue
        if not cut:
            if text[i] >= ASCII:
                return CHINESE_TERMS
            candidates = LATIN_TERMS
            i = end
            continue
        matches[level] += 1
        characters[level] += end - i
        i = end
    return candidates


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
        candidates = _match_text(text, matcher, lower, boundaries, False, matches[:, row], characters[:, row])
        if candidates == NOTHING:
            continue
        boundaries[: len(text) + 1] = False
        boundaries[0] = True
        count = 0
        if candidates == CHINESE_TERMS:
            count = cut_words(text, entries, bitmap, singles, weights, in_run, scores, ends)
        for k in range(count):
            boundaries[ends[k]] = True
        _match_text(text, matcher, lower, boundaries, True, matches[:, row], characters[:, row])

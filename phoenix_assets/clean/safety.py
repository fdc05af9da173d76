"""Safety labels: matches of word lists, by level, and which level names the document's label.

Latin terms match as whole words, in any case. Chinese terms match where jieba's dictionary cuts: 口交 is no match in
路口交通. Texts are cut only if they have a candidate (`term_trie`). A level's value is the share of characters in its
matches; below the level's `minimum_matches` it is 0. The label is the first level, in the order of `SAFETY`, whose rule
fails.

A label says what a text is about, not what it is for: an encyclopedia's article about a drug has the label of drugs.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from phoenix_assets.clean.buffers import Codepoints, Flags, Ints
from phoenix_assets.clean.profiles import SAFETY, FilterProfile, Rule, SafetyList
from phoenix_assets.clean.term_trie import TermTrie, count_terms, term_trie
from phoenix_assets.clean.wordlists import flagged_words

KERNEL_VERSION: Final = "1"

LEVELS: Final = tuple(SAFETY)
LANGUAGES: Final = ("zh", "en")
SHORTEST: Final = 2  # characters of a term
_LISTS: Final = TypeAdapter(dict[Rule, SafetyList])


def safety_values(texts: Codepoints, profile: FilterProfile) -> pl.DataFrame:
    """Return one row a text and a Float64 column a level of `SAFETY`: the share of characters in its matches."""
    trie, minimum = _trie(_LISTS.dump_json(dict(profile.safety)))
    matches, characters = count_terms(texts, trie, len(LEVELS))
    length = np.diff(texts.offsets)
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
def _trie(lists_json: bytes) -> tuple[TermTrie, Ints]:
    """Return the terms of all lists and each level's minimum of matches."""
    lists = _LISTS.validate_json(lists_json)
    minimum = np.array([lists[rule].minimum_matches if rule in lists else 1 for rule in LEVELS])
    return term_trie({term: LEVELS.index(rule) for term, rule in level_terms(lists).items()}), minimum

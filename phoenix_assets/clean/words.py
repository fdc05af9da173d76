"""Rules over words: their number, word repetition, the shares of stop words and of flagged words.

A *word* is a run between white space, lower-cased character by character, stripped of special characters on both
sides; what is empty then is no word (BLOOM, bigscience-workshop/data_tooling, ac_dc/filtering.py). BLOOM cuts Chinese
with a sentencepiece model of its own; here `segmentation.segment` cuts it with jieba's dictionary, so numbers of
Chinese words differ from BLOOM's by some percent. Words are compared by 64-bit hashes, word n-grams by all of
their words' hashes, so a false match needs a collision of 64 bits within one text or with one word list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Codepoints, Floats, Hashes, Ints, Points
from phoenix_assets.clean.characters import class_table

KERNEL_VERSION: Final = "1"

CASED_CODEPOINTS: Final = 0x1E944  # no character beyond has another case

# What a table of a lexicon knows about the hash of a word or of a phrase's first words.
STOPWORD: Final = 1
FLAGGED: Final = 2
FLAGGED_PREFIX: Final = 4


@dataclass(frozen=True)
class Lexicon:
    """Word lists of several languages as hash tables: language i has the slots `starts[i]` to `starts[i + 1]`."""

    languages: Mapping[str, int]
    starts: Ints
    keys: Hashes
    kinds: Bytes
    longest_phrase: int
    has_stopwords: frozenset[str]
    has_flagged: frozenset[str]


def word_statistics(words: Codepoints, langs: pl.Series, lexicon: Lexicon, word_ngram: int) -> pl.DataFrame:
    """Count the words of segmented texts.

    Returns one row a text: `number_words` Int64; `word_repetition` Float64, occurrences of word n-grams that occur
    more than once over occurrences of all; `stopwords` and `flagged_words` Float64, matches over words, at most 1.0,
    null where the text's language has no list. A phrase of the flagged list counts once where it starts.
    A text without words (or, for repetition, without n-grams) has 0.0.
    """
    n = len(words)
    lexicon_index = langs.replace_strict(
        list(lexicon.languages), list(lexicon.languages.values()), default=-1, return_dtype=pl.Int64
    ).fill_null(-1)
    longest = int(np.diff(words.offsets).max(initial=0)) // 2 + 2
    slots = 1 << max(4, int(2 * longest - 1).bit_length())
    number = np.zeros(n, np.int64)
    ratios = np.zeros((3, n), np.float64)
    _word_statistics(
        words.offsets,
        words.values,
        class_table(),
        lower_table(),
        lexicon_index.to_numpy(),
        lexicon.starts,
        lexicon.keys,
        lexicon.kinds,
        lexicon.longest_phrase,
        word_ngram,
        np.empty(longest, np.uint64),
        np.empty(slots, np.int32),
        np.empty(slots, np.int32),
        number,
        ratios,
    )
    has_stopwords, has_flagged = (
        langs.is_in(list(listed)).fill_null(False) for listed in (lexicon.has_stopwords, lexicon.has_flagged)
    )
    return pl.DataFrame(
        {
            "number_words": number,
            "word_repetition": ratios[0],
            "stopwords": ratios[1],
            "flagged_words": ratios[2],
        }
    ).select(
        "number_words",
        "word_repetition",
        pl.when(has_stopwords).then("stopwords").alias("stopwords"),
        pl.when(has_flagged).then("flagged_words").alias("flagged_words"),
    )


def word_hashes(texts: Codepoints) -> list[Hashes]:
    """Return the hashes of the words of each segmented text, in order."""
    longest = int(np.diff(texts.offsets).max(initial=0)) // 2 + 2
    scratch = np.empty(longest, np.uint64)
    tables = (class_table(), lower_table())
    hashes = []
    for start, end in zip(texts.offsets[:-1], texts.offsets[1:], strict=True):
        count = _hash_words(texts.values, start, end, *tables, scratch)
        hashes.append(scratch[:count].copy())
    return hashes


@cache
def lower_table() -> npt.NDArray[np.int32]:
    """Return the lower case of each code point, where that is one code point too; else the code point itself."""
    lowered = [chr(point).lower() for point in range(CASED_CODEPOINTS)]
    table = np.array([ord(low) if len(low) == 1 else i for i, low in enumerate(lowered)], np.int32)
    table.setflags(write=False)
    return table


@njit(cache=True, nogil=True, inline="always")
def _mix(
    value: Any,
) -> Any:
    # The finaliser of splitmix64 (Steele, Lea, Flood 2014).
    value ^= value >> np.uint64(30)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(27)
    value *= np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, nogil=True)
def extend(
    prefix: Any,
    word: Any,
) -> Any:
    """Return the hash of a phrase: of its first words' hash `prefix` and of its next `word`."""
    return _mix(prefix * np.uint64(0x9E3779B97F4A7C15) + word)


@njit(cache=True, nogil=True)
def _hash_words(
    values: Points,
    start: int,
    end: int,
    classes: Bytes,
    lower: npt.NDArray[np.int32],
    hashes: Hashes,
) -> int:
    space = 2
    special = 1
    count = 0
    i = start
    while i < end:
        while i < end and classes[values[i]] & space:
            i += 1
        first = i
        while i < end and not classes[values[i]] & space:
            i += 1
        last = i
        while first < last and classes[values[first]] & special:
            first += 1
        while last > first and classes[values[last - 1]] & special:
            last -= 1
        if first < last:
            word = np.uint64(0x243F6A8885A308D3)
            for k in range(first, last):
                c = values[k]
                if c < len(lower):
                    c = lower[c]
                word = word * np.uint64(0x9E3779B97F4A7C15) + np.uint64(c)
            hashes[count] = _mix(word)
            count += 1
    return count


@njit(cache=True, nogil=True)
def _lookup(
    key: Any,
    start: int,
    end: int,
    keys: Hashes,
    kinds: Bytes,
) -> Any:
    mask = np.uint64(end - start - 1)
    slot = key & mask
    while kinds[start + np.int64(slot)]:
        if keys[start + np.int64(slot)] == key:
            return kinds[start + np.int64(slot)]
        slot = (slot + np.uint64(1)) & mask
    return np.uint8(0)


@njit(cache=True, nogil=True)
def _repeated_ngrams(
    hashes: Hashes,
    count: int,
    ngram: int,
    first: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int32],
) -> float:
    total = count - ngram + 1
    bits = 4
    while (1 << bits) < 2 * total:
        bits += 1
    mask = np.uint64((1 << bits) - 1)
    counts[: 1 << bits] = 0
    multiplier = np.uint64(0x9E3779B97F4A7C15)
    leaving = np.uint64(1)
    rolling = np.uint64(0)
    for i in range(ngram):
        leaving *= multiplier
        rolling = rolling * multiplier + hashes[i]
    repeated = 0
    for i in range(total):
        if i > 0:
            rolling = rolling * multiplier + hashes[i + ngram - 1] - leaving * hashes[i - 1]
        slot = (rolling ^ (rolling >> np.uint64(32))) & mask
        while True:
            if counts[slot] == 0:
                counts[slot] = 1
                first[slot] = i
                break
            known = first[slot]
            same = True
            for k in range(ngram):
                if hashes[known + k] != hashes[i + k]:
                    same = False
                    break
            if same:
                counts[slot] += 1
                repeated += 2 if counts[slot] == 2 else 1
                break
            slot = (slot + np.uint64(1)) & mask
    return repeated / total


@njit(cache=True, nogil=True)
def _word_statistics(
    offsets: Ints,
    values: Points,
    classes: Bytes,
    lower: npt.NDArray[np.int32],
    lexicon_index: Ints,
    starts: Ints,
    keys: Hashes,
    kinds: Bytes,
    longest_phrase: int,
    ngram: int,
    hashes: Hashes,
    first: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int32],
    number: Ints,
    ratios: Floats,
) -> None:
    for text in range(len(offsets) - 1):
        count = _hash_words(values, offsets[text], offsets[text + 1], classes, lower, hashes)
        number[text] = count
        if count >= ngram:
            ratios[0, text] = _repeated_ngrams(hashes, count, ngram, first, counts)
        lexicon = lexicon_index[text]
        if count == 0 or lexicon < 0:
            continue
        start = starts[lexicon]
        end = starts[lexicon + 1]
        stopwords = 0
        flagged = 0
        for i in range(count):
            key = hashes[i]
            kind = _lookup(key, start, end, keys, kinds)
            stopwords += kind & 1
            k = 1
            while kind:
                if kind & 2:
                    flagged += 1
                    break
                if not kind & 4 or k >= longest_phrase or i + k >= count:
                    break
                key = extend(key, hashes[i + k])
                kind = _lookup(key, start, end, keys, kinds)
                k += 1
        ratios[1, text] = min(1.0, stopwords / count)
        ratios[2, text] = min(1.0, flagged / count)

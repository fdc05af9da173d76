"""Rules over words: their number, word repetition, the shares of stop words and of flagged words.

A *word* is a run between white space, lower-cased character by character, stripped of special characters on both
sides; what is empty then is no word (BLOOM, bigscience-workshop/data_tooling, ac_dc/filtering.py). BLOOM cuts Chinese
with a sentencepiece model of its own; here `segmentation` cuts it with jieba's dictionary, so numbers of Chinese
words differ from BLOOM's. Words are compared by 64-bit hashes, word n-grams by all of
their words' hashes, so a false match needs a collision of 64 bits within one text, or of 61 with one word list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Floats, Hashes, Ints, Points
from phoenix_assets.clean.characters import UNICODE_SIZE, class_table
from phoenix_assets.clean.dictionary import dictionary
from phoenix_assets.clean.ngrams import repeated_ngrams, scratch
from phoenix_assets.clean.segmentation import cut_words, segmented

KERNEL_VERSION: Final = "2"

CASED_CODEPOINTS: Final = 0x1E944  # no character beyond has another case

CLASS_SHIFT: Final = 24  # of a character's class in its traits; its lower case is below

MULTIPLIER: Final = 0x9E3779B97F4A7C15  # of the polynomials that hash words
BLOCK: Final = 4096  # characters whose positions in the polynomial are counted together

# What a table of a lexicon knows about the hash of a word or of a phrase's first words.
STOPWORD: Final = 1
FLAGGED: Final = 2
FLAGGED_PREFIX: Final = 4
KIND_BITS: Final = 7


@dataclass(frozen=True)
class Lexicon:
    """Word lists of several languages as hash tables: language i has the slots `starts[i]` to `starts[i + 1]`.

    A word's entry is its hash with what is known about it in its lowest bits, those of `KIND_BITS`.
    """

    languages: Mapping[str, int]
    starts: Ints
    entries: Hashes
    longest_phrase: int
    has_stopwords: frozenset[str]
    has_flagged: frozenset[str]


def word_statistics(texts: Codepoints, langs: pl.Series, lexicon: Lexicon, word_ngram: int) -> pl.DataFrame:
    """Count the words of texts in the languages `langs`.

    Returns one row a text: `number_words` Int64; `word_repetition` Float64, occurrences of word n-grams that occur
    more than once over occurrences of all; `stopwords` and `flagged_words` Float64, matches over words, at most 1.0,
    null where the text's language has no list. A phrase of the flagged list counts once where it starts.
    A text without words (or, for repetition, without n-grams) has 0.0.
    """
    inputs = word_inputs(texts, langs, lexicon)
    counting = scratch(int(np.diff(texts.offsets).max(initial=0))).arrays()
    number, ratios = np.zeros(len(texts), np.int64), np.zeros((3, len(texts)), np.float64)
    _word_statistics(texts.offsets, texts.values, inputs, word_ngram, counting, number, ratios)
    return pl.DataFrame(word_columns(number, ratios, langs, lexicon))


def word_inputs(texts: Codepoints, langs: pl.Series, lexicon: Lexicon) -> tuple[Any, ...]:
    """Return what `words_of` reads, for all texts together."""
    longest = int(np.diff(texts.offsets).max(initial=0))
    index = langs.replace_strict(
        list(lexicon.languages), list(lexicon.languages.values()), default=-1, return_dtype=pl.Int64
    )
    return (
        segmented(langs),
        _cutting(longest),
        index.fill_null(-1).to_numpy(),
        lexicon.starts,
        lexicon.entries,
        lexicon.longest_phrase,
        np.empty(longest + 1, np.uint64),
    )


def word_columns(number: Ints, ratios: Floats, langs: pl.Series, lexicon: Lexicon) -> list[pl.Series]:
    """Return the columns of `word_statistics` from the results of `words_of`."""
    stopwords, flagged = (
        pl.select(pl.when(langs.is_in(list(listed))).then(pl.Series(name, values))).to_series()
        for name, values, listed in (
            ("stopwords", ratios[1], lexicon.has_stopwords),
            ("flagged_words", ratios[2], lexicon.has_flagged),
        )
    )
    return [pl.Series("number_words", number), pl.Series("word_repetition", ratios[0]), stopwords, flagged]


def word_hashes(texts: Codepoints, langs: pl.Series) -> list[Hashes]:
    """Return the hashes of the words of each text, in order."""
    longest = int(np.diff(texts.offsets).max(initial=0))
    found = np.empty(longest + 1, np.uint64)
    cutting = _cutting(longest)
    hashes = []
    for start, end, cut in zip(texts.offsets[:-1], texts.offsets[1:], segmented(langs), strict=True):
        count = _hash_words(texts.values[start:end], cut, cutting, found)
        hashes.append(found[:count].copy())
    return hashes


def _cutting(longest: int) -> tuple[Any, ...]:
    """Return what `_hash_words` reads, and memory for texts of up to `longest` characters."""
    memory = np.empty(longest + 1, np.float64), np.empty(longest + 1, np.int64)
    return _trait_table(), _powers(), np.empty(longest + 1, np.uint64), *dictionary().arrays(), *memory


@cache
def _powers() -> tuple[Hashes, Hashes]:
    """Return the powers of the multiplier from 0 to `BLOCK`, and those of its inverse, modulo 2 ** 64."""
    base = np.array([[MULTIPLIER], [pow(MULTIPLIER, -1, 1 << 64)]], np.uint64)
    factors = np.concatenate([np.ones((2, 1), np.uint64), base.repeat(BLOCK, axis=1)], axis=1)
    up, down = np.multiply.accumulate(factors, axis=1)
    for powers in (up, down):
        powers.setflags(write=False)
    return up, down


@cache
def _trait_table() -> npt.NDArray[np.uint32]:
    """Return the lower case of each code point in the low bits, its class of `class_table` above."""
    traits = np.arange(UNICODE_SIZE, dtype=np.uint32)
    traits[:CASED_CODEPOINTS] = lower_table()
    traits |= class_table().astype(np.uint32) << np.uint32(CLASS_SHIFT)
    traits.setflags(write=False)
    return traits


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
    text: Points,
    cut: bool,
    cutting: Any,
    hashes: Hashes,
) -> Any:
    """Hash the words of a text, cut by the dictionary or at white space; return how many there are.

    `hashes` has room for a word per character and one more. The special characters around a word do not count.
    """
    traits, powers, factors, entries, bitmap, singles, weights, in_run, scores, ends = cutting
    if cut:
        cuts = cut_words(text, entries, bitmap, singles, weights, in_run, scores, ends)
        count = _hash_cut(text, ends[:cuts], traits, hashes)
    else:
        count = _hash_spaced(text, traits, powers, factors, hashes)
    for k in range(count):
        hashes[k] = _mix(hashes[k])
    return np.int64(count)


@njit(cache=True, nogil=True)
def _hash_spaced(
    text: Points,
    traits: Points,
    powers: tuple[Hashes, Hashes],
    factors: Hashes,
    hashes: Hashes,
) -> Any:
    """Hash words between white space: of running sums of (symbol · multiplier to the position) those at a word's ends.

    Sums are cheaper than a polynomial per word, which waits for a product at each character. Positions count from a
    block's beginning, so what is carried into the next block is multiplied down to it.
    """
    up, down = powers
    one, zero, size = np.uint64(1), np.uint64(0), np.uint64(len(up) - 1)
    white, letters = np.uint32(2 << CLASS_SHIFT), np.uint32((1 << CLASS_SHIFT) - 1)
    count = total = before = after = factor = zero
    inside = False
    for block in range(np.uint64(0), np.uint64(len(text)), size):
        characters = text[block : block + size]
        for i in range(np.uint64(len(characters))):
            trait = traits[characters[i]]
            letter = trait <= letters
            back = down[i]
            begins = letter and not inside
            before = total if begins else before
            factor = back if begins else factor
            total += (np.uint64(trait) + one) * up[i]
            after = total if letter else after
            # Written at each character, kept only at a word's end.
            hashes[count] = after - before
            factors[count] = factor
            inside |= letter
            ends = trait >= white
            count += np.uint64(ends & inside)
            inside &= not ends
        total *= down[size]
        before *= down[size]
        after *= down[size]
        factor *= up[size]
    count += np.uint64(inside)
    for k in range(count):
        hashes[k] *= factors[k]
    return count


@njit(cache=True, nogil=True)
def _hash_cut(
    text: Points,
    ends: Ints,
    traits: Points,
    hashes: Hashes,
) -> Any:
    """Hash words that end at `ends`.

    A word's hash so far goes on only at letters and after one, and is kept as of its last letter.
    """
    letters, seed = np.uint32((1 << CLASS_SHIFT) - 1), np.uint64(0x243F6A8885A308D3)
    one = np.uint64(1)
    count = at = np.uint64(0)
    for k in range(np.uint64(len(ends))):
        word = stripped = seed
        after = np.uint64(ends[k])
        while at < after:
            trait = traits[text[at]]
            letter = trait <= letters
            longer = word * np.uint64(MULTIPLIER) + np.uint64(trait & letters)
            word = longer if letter or stripped != seed else seed
            stripped = word if letter else stripped
            at += one
        hashes[count] = stripped
        count += np.uint64(stripped != seed)
    return count


@njit(cache=True, nogil=True, inline="always")
def _lookup(
    key: Any,
    table: Hashes,
) -> Any:
    """Return what a language's table knows about the hash `key`, 0: nothing."""
    mask = np.uint64(len(table) - 1)
    kind_bits = np.uint64(KIND_BITS)
    slot = (key >> np.uint64(3)) & mask
    entry = table[slot]
    while (entry ^ key) > kind_bits and entry != 0:
        slot = (slot + np.uint64(1)) & mask
        entry = table[slot]
    return (entry & kind_bits) if entry != 0 else entry


@njit(cache=True, nogil=True)
def _count_listed(
    hashes: Hashes,
    count: int,
    table: Hashes,
    longest_phrase: int,
) -> tuple[Any, int]:
    """Return how many of the first `count` words are stop words, and where how many flagged phrases start."""
    stopwords = np.uint64(0)
    flagged = 0
    one, end = np.uint64(1), np.uint64(count)
    for i in range(end):
        key = hashes[i]
        kind = _lookup(key, table)
        stopwords += kind & np.uint64(STOPWORD)
        k = i + one
        while kind & np.uint64(FLAGGED | FLAGGED_PREFIX):
            if kind & np.uint64(FLAGGED):
                flagged += 1
                break
            if k - i >= longest_phrase or k >= end:
                break
            key = extend(key, hashes[k])
            kind = _lookup(key, table)
            k += one
    return np.int64(stopwords), flagged


@njit(cache=True, nogil=True)
def words_of(
    row: int,
    text: Points,
    inputs: Any,
    ngram: int,
    counting: Any,
    number: Ints,
    ratios: Floats,
) -> None:
    """Write the values of the text in row `row`; `counting` are the arrays of a `Scratch`."""
    cut, cutting, lexicon_index, starts, entries, longest_phrase, hashes = inputs
    count = _hash_words(text, cut[row], cutting, hashes)
    number[row] = count
    total = count - ngram + 1
    if total > 0:
        _, repeated = repeated_ngrams(hashes, 0, total, ngram, *counting)
        ratios[0, row] = counting[-1][:repeated].sum() / total
    index = lexicon_index[row]
    if count > 0 and index >= 0:
        table = entries[starts[index] : starts[index + 1]]
        stopwords, flagged = _count_listed(hashes, count, table, longest_phrase)
        ratios[1, row] = min(1.0, stopwords / count)
        ratios[2, row] = min(1.0, flagged / count)


@njit(cache=True, nogil=True)
def _word_statistics(
    offsets: Ints,
    values: Points,
    inputs: Any,
    ngram: int,
    counting: Any,
    number: Ints,
    ratios: Floats,
) -> None:
    for row in range(len(offsets) - 1):
        text = values[offsets[row] : offsets[row + 1]]
        words_of(row, text, inputs, ngram, counting, number, ratios)

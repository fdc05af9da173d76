"""The words of a text as 64-bit hashes.

A *word* is a run between white space, lower-cased character by character, stripped of special characters on both
sides; what is empty then is no word (BLOOM, bigscience-workshop/data_tooling, ac_dc/filtering.py). BLOOM cuts Chinese
with a sentencepiece model of its own; here `segmentation` cuts it with jieba's dictionary, so numbers of Chinese
words differ from BLOOM's. A false match of words needs a collision of 64 bits within one text.
"""

from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Hashes, Ints, Points
from phoenix_assets.clean.characters import (
    CLASS_SHIFT,
    LETTERS,
    TRAIT_PADDING,
    WHITE,
    trait_memory,
    traits_of,
)
from phoenix_assets.clean.dictionary import dictionary
from phoenix_assets.clean.segmentation import cut_words, segmented

KERNEL_VERSION: Final = "1"

STEP: Final = TRAIT_PADDING  # characters of a word that are hashed together, in pairs
PAIRS: Final = STEP // 2
MULTIPLIER: Final = 0x9E3779B97F4A7C15
POWERS: Final = np.array([pow(MULTIPLIER, k, 1 << 64) for k in range(1, PAIRS + 1)], np.uint64)
NEXT_STEP: Final = pow(MULTIPLIER, PAIRS, 1 << 64)  # no two pairs of a word have the same power
# By how many characters there are: the bits of each pair that are theirs.
MASKS: Final = np.array(
    [[(1 << 32 * min(max(left - 2 * k, 0), 2)) - 1 for k in range(PAIRS)] for left in range(STEP + 1)],
    np.uint64,
)


def word_hashes(texts: Codepoints, langs: pl.Series) -> list[Hashes]:
    """Return the hashes of the words of each text, in order."""
    memory, traits = word_memory(texts.longest), trait_memory(texts.longest)
    hashes = []
    for start, end, cut in zip(texts.offsets[:-1], texts.offsets[1:], segmented(langs), strict=True):
        text = texts.values[start:end]
        hashes.append(hash_words(text, traits_of(text, traits), cut, memory).copy())
    return hashes


def word_memory(longest: int) -> tuple[Any, ...]:
    """Return what `hash_words` reads, and memory for texts of up to `longest` characters."""
    memory = np.empty(longest + 1, np.float64), np.empty(longest + 1, np.int64)
    return np.empty(longest + 1, np.uint64), *dictionary().arrays(), *memory


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
    return _mix(prefix * np.uint64(MULTIPLIER) + word)


@njit(cache=True, nogil=True)
def hash_words(
    text: Points,
    traits: Points,
    cut: bool,
    memory: Any,
) -> Hashes:
    """Return the hashes of the words of a text, cut by the dictionary or at white space: a part of the memory.

    The memory is that of `word_memory`; the text's `traits` are those of `traits_of`.
    """
    hashes, entries, bitmap, singles, weights, in_run, scores, bounds = memory
    count = start = np.uint64(0)
    if cut:
        for k in range(cut_words(text, entries, bitmap, singles, weights, in_run, scores, bounds)):
            end = np.uint64(bounds[k])
            count = _hash_word(traits, start, end, hashes, count)
            start = end
    else:
        for k in range(0, _find_runs(traits, bounds), 2):
            start, end = np.uint64(bounds[k]), np.uint64(bounds[k + 1])
            count = _hash_word(traits, start, end, hashes, count)
    found: Hashes = hashes[:count]
    return found


@njit(cache=True, nogil=True)
def _find_runs(
    traits: Points,
    bounds: Ints,
) -> Any:
    """Write where each run between white space begins and ends; return how many such places there are.

    Each place is written, and kept only if it counts: a branch here would be guessed wrong at most words.
    """
    one = np.uint64(1)
    count, before = np.uint64(0), one
    for i in range(np.uint64(len(traits))):
        white = np.uint64(traits[i] >> np.uint32(CLASS_SHIFT)) // np.uint64(WHITE)
        bounds[count] = i
        count += white ^ before
        before = white
    bounds[count] = len(traits)
    return np.int64(count + (before ^ one))


@njit(cache=True, nogil=True)
def _hash_word(
    traits: Points,
    start: Any,
    end: Any,
    hashes: Hashes,
    count: Any,
) -> Any:
    """Hash a word without the special characters around it; return `count` and one more, if a letter is left.

    Reads up to `STEP` traits beyond the word's end, for nothing: so the loop is as long for all but long words.
    """
    one = np.uint64(1)
    while start < end and traits[start] > LETTERS:
        start += one
    while start < end and traits[end - one] > LETTERS:
        end -= one
    hashed, at = end - start, start
    while True:
        hashed *= np.uint64(NEXT_STEP)
        masks = MASKS[min(end - at, np.uint64(STEP))]
        for k in range(PAIRS):
            pair = _pair(traits, at + np.uint64(2 * k)) & masks[k]
            hashed += (pair ^ (pair >> np.uint64(21))) * POWERS[k]
        at += np.uint64(STEP)
        if at >= end:
            break
    hashes[count] = _mix(hashed)
    return count + np.uint64(start < end)


@njit(cache=True, nogil=True, inline="always")
def _pair(
    traits: Points,
    at: Any,
) -> Any:
    """Return the traits of two characters as one number; the compiler makes one load of it."""
    return np.uint64(traits[at]) | np.uint64(traits[at + np.uint64(1)]) << np.uint64(32)

"""Word boundaries of languages that are written without spaces: jieba's dictionary, the most probable path.

jieba (github.com/fxsjy/jieba, `cut(text, HMM=False)`): a run of Han characters, ASCII letters, digits and a few marks
is cut so that the sum of the words' log frequencies is greatest, found from the run's end to its start; of equal
sums the longer first word wins. Neighbouring single letters and digits are one word, so is every character outside a
run. Sums are added in jieba's order, so that ties break alike.
"""

from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Flags, Floats, Hashes, Ints, Points
from phoenix_assets.clean.dictionary import (
    BASIC_PLANE,
    KEY_BITS,
    Dictionary,
    Numbers,
    filter_shift,
    find_node,
    may_be_known,
    node_key,
)

KERNEL_VERSION: Final = "2"

SEGMENTED_LANGUAGES: Final = ("zh", "yue", "wuu")  # written without spaces, cut by jieba's dictionary


def segmented(langs: pl.Series) -> Flags:
    """Return which of the languages are cut by the dictionary."""
    return langs.is_in(list(SEGMENTED_LANGUAGES)).fill_null(False).to_numpy().astype(np.bool_)


def word_ends(texts: Codepoints, words: Dictionary) -> list[Ints]:
    """Cut each text into words; return where each word ends, in characters, the last one at the text's end."""
    ends, scores = np.empty(texts.longest, np.int64), np.empty(texts.longest + 1, np.float64)
    found = []
    for start, end in zip(texts.offsets[:-1], texts.offsets[1:], strict=True):
        count = cut_words(texts.values[start:end], *words.arrays(), scores, ends)
        found.append(ends[:count].copy())
    return found


@njit(cache=True, nogil=True)
def _best_path(
    run: Points,
    entries: Hashes,
    bitmap: Hashes,
    singles: Numbers,
    weights: Floats,
    scores: Floats,
    ends: Ints,
) -> None:
    """Find for each character of a run where the best word from it on ends."""
    one = np.uint64(1)
    shift = filter_shift(bitmap)
    length = np.uint64(len(run))
    scores[length] = 0.0
    k = length
    while k > 0:
        i = k
        k -= one
        number = np.uint64(singles[run[k]])
        alone = weights[number] + scores[i]
        # A character that is no word of the dictionary is one only where no longer word begins.
        best = alone if number > 0 else -np.inf
        best_end = i
        node = np.uint64(len(entries)) + np.uint64(run[k])
        while i < length:
            key = node_key(node, run[i])
            if not may_be_known(key, bitmap, shift):
                break
            node = find_node(key, entries)
            entry = entries[node]
            if entry == 0:
                break
            i += one
            number = entry >> np.uint64(KEY_BITS)
            score = weights[number] + scores[i] if number > 0 else -np.inf
            best_end = i if score >= best else best_end
            best = max(best, score)
        scores[k] = best if best > -np.inf else alone
        ends[k] = best_end if best > -np.inf else k + one


@njit(cache=True, nogil=True)
def cut_words(
    text: Points,
    entries: Hashes,
    bitmap: Hashes,
    singles: Numbers,
    weights: Floats,
    in_run: Flags,
    scores: Floats,
    ends: Ints,
) -> int:
    """Cut `text` into words; write where each ends to `ends`, return how many there are.

    `scores` and `ends` have room for a number per character and one more. A run's path is written where its
    characters are, its words over characters already passed.
    """
    count = 0
    i = 0
    while i < len(text):
        first = i
        while i < len(text) and text[i] < BASIC_PLANE and in_run[text[i]]:
            i += 1
        if i == first:
            i += 1
            ends[count] = i
            count += 1
            continue
        path = ends[first:]
        _best_path(text[first:i], entries, bitmap, singles, weights, scores, path)
        k = 0
        joins = False
        while k < i - first:
            after = path[k]
            single = after == k + 1 and _is_alphanumeric(text[first + k])
            k = after
            count += not (single and joins)
            ends[count - 1] = first + k
            joins = single
    return count


@njit(cache=True, nogil=True, inline="always")
def _is_alphanumeric(
    c: Any,
) -> Any:
    return 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122

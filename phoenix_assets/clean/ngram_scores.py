"""Scores of tokenised lines under a KenLM model of the type `probing`: those of `kenlm.Model.score`, to the last bit.

KenLM scores word after word (lm/model.cc): it looks the longest n-gram up that ends with the word, and adds the backoffs
of the longer ones that it had to give up. Which n-grams there are depends on the words alone, so the kernel does not
wait for one word's score before the next: it numbers all words of a block of lines, then looks their bigrams up, then
the trigrams of those that had one, and so on (`ngram_lookup`).

The scores are KenLM's, so this module has no version of its own.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Floats, Hashes, Ints, Points
from phoenix_assets.clean.ngram_lookup import ABSENT, fetch, find, hash_line, hash_word, number_words
from phoenix_assets.clean.ngram_model import NgramModel
from phoenix_assets.clean.perplexity import PADDING, Sentences

BLOCK: Final = 8192  # words and marks that are looked up together, or those of a longer line
MARKS: Final = (b"<s>", b"</s>")  # beginning and end of a line
# The mixing of words' numbers into an n-gram's key.
MIX_KEY: Final = 8978948897894561157
MIX_WORD: Final = 17894857484156487943


def line_scores(model: NgramModel, lines: Sentences) -> Floats:
    """Return log10 of each line's probability, its end included. As KenLM's binding does, reads up to the first NUL."""
    scores = np.empty(len(lines.tokens), np.float64)
    room = max(BLOCK, int(lines.tokens.max(initial=0)) + len(MARKS))
    text = lines.data, lines.offsets, lines.starts, lines.tokens
    _score_lines(text, model.tables(), _marks(model), _memory(model.order, room), scores)
    return scores


def _marks(model: NgramModel) -> Points:
    """Return the numbers of the marks."""
    memory = _memory(model.order, len(MARKS))
    numbers, keys, *_ = memory
    for place, mark in enumerate(MARKS):
        keys[place] = hash_word(
            np.frombuffer(mark + bytes(PADDING), np.uint8), np.uint64(0), np.uint64(len(mark))
        )
    number_words(model.words, np.uint64(len(MARKS)), memory[:4])
    found: Points = numbers
    return found


def _memory(order: int, room: int) -> tuple[Any, ...]:
    """Return memory for a block of up to `room` words and marks."""
    return (
        np.empty(room, np.uint32),  # numbers of words
        np.empty(room + 1, np.uint64),  # keys that are looked up
        np.empty(room, np.uint64),  # slots where they may be
        np.empty(room, np.uint64),  # keys that are met there
        np.empty(room + 1, np.uint32),  # words whose longer n-grams are looked up
        np.empty(room, np.uint8),  # words of the line up to the word, the mark included, at most `order`
        np.empty(room, np.uint8),  # length of the longest n-gram that ends with the word
        np.empty(room, np.float32),  # its probability
        np.empty(
            (order - 1, room), np.float32
        ),  # by length: the backoff of the n-gram that ends with the word
    )


@njit(cache=True, nogil=True)
def _score_lines(
    text: Any,
    tables: Any,
    marks: Points,
    memory: Any,
    scores: Floats,
) -> None:
    tokens, keys, room = text[-1], memory[1], len(memory[0])
    words = np.empty(room, np.int64)
    line = token = np.int64(0)  # int64, no literal: numba would compile twice what is called with it
    while line < len(tokens):
        first, count = line, 0
        while line < len(tokens) and count + tokens[line] + 2 * (line + 1 - first) <= room:
            words[line - first] = hash_line(text, line, token, keys[count:])
            count += words[line - first]
            token += tokens[line]
            line += 1
        block = words[: line - first]
        size = np.uint64(count + 2 * len(block))
        number_words(tables[0], np.uint64(count), memory[:4])
        _place(block, marks, memory)
        _match(size, tables, memory)
        _back_off(size, memory)
        _add(block, memory[-2], scores[first:line])


@njit(cache=True, nogil=True)
def _place(
    tokens: Ints,
    marks: Points,
    memory: Any,
) -> None:
    """Put the marks around the words of each line; from the last one, so that no number is written over."""
    numbers, depth = memory[0], memory[5]
    most = len(memory[-1]) + 1
    word = np.int64(tokens.sum())
    place = word + 2 * len(tokens)
    for line in range(len(tokens) - 1, -1, -1):
        count = tokens[line]
        for k in range(count + 1, -1, -1):
            place -= 1
            if 0 < k <= count:
                word -= 1
                numbers[place] = numbers[word]
            else:
                numbers[place] = marks[min(k, 1)]
            depth[place] = min(k + 1, most)


@njit(cache=True, nogil=True, inline="always")
def _goes_on(
    prob: Any,
    depth: Any,
    order: Any,
) -> Any:
    """Return 1 where a longer n-gram may end with the same words: KenLM then clears the sign of the probability."""
    clear = np.uint64(1) - np.uint64(np.float32(prob).view(np.uint32) >> np.uint32(31))
    return clear & np.uint64(depth > order)


@njit(cache=True, nogil=True)
def _match(
    size: Any,
    tables: Any,
    memory: Any,
) -> None:
    """Find the longest n-gram that ends with each word, its probability, and the backoffs of it and shorter ones."""
    _, unigrams, middle, starts, longest = tables
    numbers, keys, slots, met, going, depth, length, prob, backoff = memory
    one, absent = np.uint64(1), np.uint64(ABSENT)
    left = np.uint64(0)
    for k in range(size):
        word = np.uint64(numbers[k])
        entry = unigrams[word]
        prob[k], backoff[0, k], length[k] = -abs(entry.prob), entry.backoff, 1
        keys[left], going[left] = word, k
        left += _goes_on(entry.prob, depth[k], one)
    for order in range(np.uint64(2), np.uint64(len(starts) + 1)):
        before = order - one
        table = middle[starts[before - one] : starts[before]]
        _lengthen(numbers, going, before, keys, left)
        fetch(table, keys, left, slots, met)
        count, left = left, np.uint64(0)
        for k in range(count):
            slot = find(table, keys[k], slots[k], met[k])
            if slot != absent:
                at = np.uint64(going[k])
                entry = table[slot]
                prob[at], backoff[before, at], length[at] = -abs(entry.prob), entry.backoff, order
                keys[left], going[left] = keys[k], at
                left += _goes_on(entry.prob, depth[at], order)
    _lengthen(numbers, going, np.uint64(len(starts)), keys, left)
    fetch(longest, keys, left, slots, met)
    for k in range(left):
        slot = find(longest, keys[k], slots[k], met[k])
        if slot != absent:
            at = np.uint64(going[k])
            prob[at], length[at] = longest[slot].prob, len(starts) + 1


@njit(cache=True, nogil=True)
def _lengthen(
    numbers: Points,
    going: Points,
    before: Any,
    keys: Hashes,
    count: Any,
) -> None:
    """Make the keys of n-grams that are one word longer: the word that stands `before` places before their last one."""
    for k in range(count):
        word = np.uint64(numbers[np.uint64(going[k]) - before]) + np.uint64(1)
        keys[k] = keys[k] * np.uint64(MIX_KEY) ^ word * np.uint64(MIX_WORD)


@njit(cache=True, nogil=True)
def _back_off(
    size: Any,
    memory: Any,
) -> None:
    """Add the backoffs of the n-grams that end before a word and are no shorter than the one that ends with it.

    In KenLM's order, in single precision; adding -0.0 changes nothing.
    """
    length, prob, backoff = memory[-3:]
    one = np.uint64(1)
    for shorter in range(len(backoff)):
        weights = backoff[shorter]
        for k in range(one, size):
            counts = (length[k] <= shorter + 1) & (shorter < length[k - one])
            prob[k] += weights[k - one] if counts else np.float32(-0.0)


@njit(cache=True, nogil=True)
def _add(
    tokens: Ints,
    prob: Any,
    scores: Floats,
) -> None:
    k = np.uint64(0)
    one = np.uint64(1)
    for line in range(len(tokens)):
        total = np.float32(0.0)
        for _ in range(tokens[line] + 1):
            k += one
            total += prob[k]
        k += one
        scores[line] = total

"""Scores of tokenised lines under a KenLM model of the type `probing`: those of `kenlm.Model.score`, to the last bit.

KenLM scores word after word (lm/model.cc): it looks the longest n-gram up that ends with the word, and adds the backoffs
of the longer ones that it had to give up. Which n-grams there are depends on the words alone, so the kernel does not
wait for one word's score before the next: it numbers all words of a block of lines, then looks their bigrams up, then
the trigrams of those that had one, and so on. Lookups of one step are independent of each other, so many entries are
fetched from memory at once.

The scores are KenLM's, so this module has no version of its own.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Floats, Hashes, Ints, Points
from phoenix_assets.clean.ngram_model import NgramModel, Table
from phoenix_assets.clean.perplexity import PADDING, Sentences

BLOCK: Final = 8192  # words and marks that are looked up together, or those of a longer line
MARKS: Final = (b"<s>", b"</s>")  # beginning and end of a line
ABSENT: Final = 0xFFFFFFFFFFFFFFFF
# MurmurHash64A (Austin Appleby), by which words are found; and the mixing of words' numbers into an n-gram's key.
MURMUR: Final = 0xC6A4A7935BD1E995
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
        keys[place] = _hash_word(
            np.frombuffer(mark + bytes(PADDING), np.uint8), np.uint64(0), np.uint64(len(mark))
        )
    _number(model.words, np.uint64(len(MARKS)), memory)
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
    line = token = 0
    while line < len(tokens):
        first, count = line, 0
        while line < len(tokens) and count + tokens[line] + 2 * (line + 1 - first) <= room:
            words[line - first] = _hash_line(text, line, token, keys[count:])
            count += words[line - first]
            token += tokens[line]
            line += 1
        block = words[: line - first]
        size = np.uint64(count + 2 * len(block))
        _number(tables[0], np.uint64(count), memory)
        _place(block, marks, memory)
        _match(size, tables, memory)
        _back_off(size, memory)
        _add(block, memory[-2], scores[first:line])


@njit(cache=True, nogil=True)
def _hash_line(
    text: Any,
    line: int,
    token: int,
    keys: Hashes,
) -> Any:
    """Hash the words of a line, whose first is the token `token` of all, up to a NUL; return how many there are."""
    data, offsets, starts, tokens = text
    one, last = np.uint64(1), np.uint64(tokens[line] - 1)
    words = starts[token : token + tokens[line]]
    for k in range(last + one):
        start = np.uint64(words[k])
        end = np.uint64(words[k + one]) - one if k < last else np.uint64(offsets[line + 1])
        if data[start] == 0:
            return np.int64(k)
        keys[k] = _hash_word(data, start, end)
    return np.int64(last + one)


@njit(cache=True, nogil=True)
def _hash_word(
    data: Bytes,
    start: Any,
    end: Any,
) -> Any:
    """Return MurmurHash64A with seed 0 of `data[start:end]`; reads up to 7 bytes beyond."""
    multiplier, shift, eight, one = np.uint64(MURMUR), np.uint64(47), np.uint64(8), np.uint64(1)
    key = (end - start) * multiplier
    while start + eight <= end:
        part = _eight(data, start) * multiplier
        part ^= part >> shift
        key = (key ^ part * multiplier) * multiplier
        start += eight
    if start < end:
        part = _eight(data, start) & ((one << (eight * (end - start))) - one)
        key = (key ^ part) * multiplier
    key ^= key >> shift
    key *= multiplier
    return key ^ (key >> shift)


@njit(cache=True, nogil=True, inline="always")
def _eight(
    data: Bytes,
    at: Any,
) -> Any:
    """Return eight bytes as a number, the first one lowest; the compiler makes one load of it."""
    number = np.uint64(data[at])
    for place in range(np.uint64(1), np.uint64(8)):
        number |= np.uint64(data[at + place]) << (np.uint64(8) * place)
    return number


@njit(cache=True, nogil=True)
def _fetch(
    table: Table,
    keys: Hashes,
    count: Any,
    slots: Hashes,
    met: Hashes,
) -> None:
    """Find the first slot where each of `count` keys may be, and the key that is met there."""
    size = np.uint64(len(table))
    for k in range(count):
        slots[k] = keys[k] % size
    for k in range(count):
        met[k] = table[slots[k]].key


@njit(cache=True, nogil=True, inline="always")
def _find(
    table: Table,
    key: Any,
    slot: Any,
    met: Any,
) -> Any:
    """Return the slot of a key, ABSENT where the table does not have it."""
    one, zero = np.uint64(1), np.uint64(0)
    while met != key and met != zero:
        slot += one
        if slot == np.uint64(len(table)):
            slot = zero
        met = table[slot].key
    return slot if met == key else np.uint64(ABSENT)


@njit(cache=True, nogil=True)
def _number(
    words: Table,
    count: Any,
    memory: Any,
) -> None:
    """Write the numbers of the first `count` words, by their hashes; 0 for unknown ones."""
    numbers, keys, slots, met = memory[:4]
    _fetch(words, keys, count, slots, met)
    for k in range(count):
        slot = _find(words, keys[k], slots[k], met[k])
        numbers[k] = words[slot].number if slot != np.uint64(ABSENT) else np.uint32(0)


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
        _fetch(table, keys, left, slots, met)
        count, left = left, np.uint64(0)
        for k in range(count):
            slot = _find(table, keys[k], slots[k], met[k])
            if slot != absent:
                at = np.uint64(going[k])
                entry = table[slot]
                prob[at], backoff[before, at], length[at] = -abs(entry.prob), entry.backoff, order
                keys[left], going[left] = keys[k], at
                left += _goes_on(entry.prob, depth[at], order)
    _lengthen(numbers, going, np.uint64(len(starts)), keys, left)
    _fetch(longest, keys, left, slots, met)
    for k in range(left):
        slot = _find(longest, keys[k], slots[k], met[k])
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

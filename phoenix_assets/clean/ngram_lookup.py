"""Lookups in the tables of a KenLM model of the type `probing`: slots by keys, and words by the hash of their bytes.

Lookups of one step are independent of each other, so all their slots are fetched before the first is looked at, and
many entries come from memory at once. The hash and the order of the slots are KenLM's, so this module has no version
of its own.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Hashes, Points, eight_bytes
from phoenix_assets.clean.ngram_model import Table

ABSENT: Final = 0xFFFFFFFFFFFFFFFF
MURMUR: Final = 0xC6A4A7935BD1E995  # of MurmurHash64A (Austin Appleby), by which words are found


@njit(cache=True, nogil=True)
def fetch(
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
def find(
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
def hash_line(
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
        keys[k] = hash_word(data, start, end)
    return np.int64(last + one)


@njit(cache=True, nogil=True)
def hash_word(
    data: Bytes,
    start: Any,
    end: Any,
) -> Any:
    """Return MurmurHash64A with seed 0 of `data[start:end]`; reads up to 7 bytes beyond."""
    multiplier, shift, eight, one = np.uint64(MURMUR), np.uint64(47), np.uint64(8), np.uint64(1)
    key = (end - start) * multiplier
    while start + eight <= end:
        part = eight_bytes(data, start) * multiplier
        part ^= part >> shift
        key = (key ^ part * multiplier) * multiplier
        start += eight
    if start < end:
        part = eight_bytes(data, start) & ((one << (eight * (end - start))) - one)
        key = (key ^ part) * multiplier
    key ^= key >> shift
    key *= multiplier
    return key ^ (key >> shift)


@njit(cache=True, nogil=True)
def number_words(
    words: Table,
    count: Any,
    memory: tuple[Points, Hashes, Hashes, Hashes],
) -> None:
    """Write the numbers of `count` words, 0 for unknown ones. The memory: numbers, hashes, and two for the lookup."""
    numbers, keys, slots, met = memory
    fetch(words, keys, count, slots, met)
    for k in range(count):
        slot = find(words, keys[k], slots[k], met[k])
        numbers[k] = words[slot].number if slot != np.uint64(ABSENT) else np.uint32(0)

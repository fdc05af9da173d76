"""jieba's dictionary (github.com/fxsjy/jieba) as a trie that kernels walk.

The trie is one open-addressing table. A node is its slot; its entry holds the node before, the character that leads
here, and which frequency the word has (0: only the beginning of words). Single characters are not in the table: the
node of character c is `slots + c`. Most look-ups find nothing, so a bitmap (a Bloom filter of one hash) that is
small enough for a near cache is asked first.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Flags, Floats, Hashes, Ints, Points, codepoints
from phoenix_assets.clean.package_data import package_folder
from phoenix_assets.errors import ConfigError

KERNEL_VERSION: Final = "1"

RUN_MARKS: Final = "+#&._%-"  # belong to a run, besides Han characters, ASCII letters and digits
FIRST_HAN: Final = 0x4E00
LAST_HAN: Final = 0x9FD5
BASIC_PLANE: Final = 0x10000  # all words are made of characters below
NODE_BITS: Final = 22
CHARACTER_BITS: Final = 21
KEY_BITS: Final = NODE_BITS + CHARACTER_BITS
MULTIPLIER: Final = 0x9E3779B97F4A7C15
FILTER_BITS: Final = 4  # of the bitmap, for each slot

Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Dictionary:
    """jieba's dictionary: `weights[k]` is the log probability of a word with the frequency number k."""

    entries: Hashes  # of words and their beginnings: key, and frequency number above it
    filter: Hashes  # bitmap over the top bits of the keys' hashes
    singles: Numbers  # frequency number of each character of the basic plane
    weights: Floats  # number 0: of what is no word
    in_run: Flags  # over the basic plane: the characters of runs

    def arrays(self) -> tuple[Hashes, Hashes, Numbers, Floats, Flags]:
        """Return the arrays as the kernels take them."""
        return self.entries, self.filter, self.singles, self.weights, self.in_run


@cache
def dictionary() -> Dictionary:
    """Return jieba's dictionary, read once per process. Raises ConfigError if the package is missing or other."""
    path = package_folder("jieba") / "dict.txt"
    lines = codepoints(pl.Series([path.read_text("utf-8")])).values
    return build_dictionary(lines)


def build_dictionary(lines: Points) -> Dictionary:
    """Build the trie of a dictionary file's characters: lines of a word, its frequency and other fields.

    Raises ConfigError for a line of another form, for frequencies below 1 and for too many words.
    """
    most = int(np.count_nonzero(lines == ord("\n"))) + 1
    starts, ends, frequencies = np.empty((3, most), np.int64)
    count, bad = _parse(lines, starts, ends, frequencies)
    if bad:
        raise ConfigError(f"jieba's dictionary: line {bad} is no word with a frequency; reinstall jieba")
    distinct, numbers = np.unique(frequencies[:count], return_inverse=True)
    characters = int((ends[:count] - starts[:count]).sum())
    slots = 1 << max(4, characters.bit_length())
    if slots + BASIC_PLANE > 1 << NODE_BITS or len(distinct) >= 1 << (64 - KEY_BITS):
        raise ConfigError(
            f"jieba's dictionary: {characters} characters of words are more than the trie holds"
        )
    log_total = math.log(int(frequencies[:count].sum()))
    weights = np.array([math.log(f) - log_total for f in (1, *distinct.tolist())], np.float64)
    entries, bitmap = np.zeros(slots, np.uint64), np.zeros(slots * FILTER_BITS // 64, np.uint64)
    singles = np.zeros(BASIC_PLANE, np.uint32)
    _insert(
        lines,
        starts[:count],
        ends[:count],
        numbers.astype(np.uint64) + np.uint64(1),
        entries,
        bitmap,
        singles,
    )
    in_run = np.zeros(BASIC_PLANE, np.bool_)
    in_run[FIRST_HAN : LAST_HAN + 1] = True
    in_run[[c for c in range(128) if chr(c).isalnum() or chr(c) in RUN_MARKS]] = True
    for array in (entries, bitmap, singles, weights, in_run):
        array.setflags(write=False)
    return Dictionary(entries, bitmap, singles, weights, in_run)


@njit(cache=True, nogil=True)
def _parse(
    lines: Points,
    starts: Ints,
    ends: Ints,
    frequencies: Ints,
) -> tuple[int, int]:
    """Find words and frequencies; return how many, and the number of the first bad line or 0."""
    newline, space, zero = 10, 32, 48
    count = 0
    i = 0
    while i < len(lines):
        start = i
        while i < len(lines) and lines[i] != space and lines[i] != newline:
            i += 1
        starts[count] = start
        ends[count] = i
        frequency = np.int64(0)
        i += 1
        while i < len(lines) and zero <= lines[i] <= zero + 9:
            frequency = frequency * 10 + np.int64(lines[i]) - zero
            i += 1
        if ends[count] == start or frequency < 1 or lines[start:i].max() >= BASIC_PLANE:
            return count, count + 1
        frequencies[count] = frequency
        count += 1
        while i < len(lines) and lines[i] != newline:
            i += 1
        i += 1
    return count, 0


@njit(cache=True, nogil=True, inline="always")
def node_key(
    node: Any,
    c: Any,
) -> Any:
    """Return the key of the node after `node` by the character `c`."""
    return (np.uint64(node) << np.uint64(CHARACTER_BITS)) | np.uint64(c)


@njit(cache=True, nogil=True, inline="always")
def may_be_known(
    key: Any,
    bitmap: Hashes,
    shift: Any,
) -> Any:
    """Return 0 for a key that is not in the table; `shift` is the bitmap's `filter_shift`."""
    place = (key * np.uint64(MULTIPLIER)) >> shift
    return (bitmap[place >> np.uint64(6)] >> (place & np.uint64(63))) & np.uint64(1)


@njit(cache=True, nogil=True, inline="always")
def find_node(
    key: Any,
    entries: Hashes,
) -> Any:
    """Return the slot of the key's entry or, without one, where it goes."""
    mask = np.uint64(len(entries) - 1)
    slot = ((key * np.uint64(MULTIPLIER)) >> np.uint64(20)) & mask
    entry = entries[slot]
    while entry != 0 and entry & np.uint64((1 << KEY_BITS) - 1) != key:
        slot = (slot + np.uint64(1)) & mask
        entry = entries[slot]
    return slot


@njit(cache=True, nogil=True)
def _insert(
    lines: Points,
    starts: Ints,
    ends: Ints,
    numbers: Hashes,
    entries: Hashes,
    bitmap: Hashes,
    singles: Numbers,
) -> None:
    key_mask = np.uint64((1 << KEY_BITS) - 1)
    shift = filter_shift(bitmap)
    for word in range(len(starts)):
        c = lines[starts[word]]
        if ends[word] - starts[word] == 1:
            singles[c] = numbers[word]
            continue
        node = np.uint64(len(entries)) + np.uint64(c)
        for i in range(starts[word] + 1, ends[word]):
            key = node_key(node, lines[i])
            node = find_node(key, entries)
            if entries[node] == 0:
                entries[node] = key
                place = (key * np.uint64(MULTIPLIER)) >> shift
                bitmap[place >> np.uint64(6)] |= np.uint64(1) << (place & np.uint64(63))
        entries[node] = (entries[node] & key_mask) | (numbers[word] << np.uint64(KEY_BITS))


@njit(cache=True, nogil=True)
def filter_shift(
    bitmap: Hashes,
) -> Any:
    """Return how far a hash is shifted to number the bits of `bitmap`."""
    shift = np.uint64(64)
    size = 64 * len(bitmap)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    return shift

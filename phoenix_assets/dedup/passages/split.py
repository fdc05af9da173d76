"""Texts to passages and their hashes, in one pass over Arrow's offsets and bytes.

The model:
- A passage is a run of bytes of a text: a line, a block of lines up to a blank one, or a sentence. All passages of a
  text joined are the text: line ends, blank lines and spaces after a passage belong to it.
- Fenced code and the rows of a table are one passage: a part of them would say nothing.
- A sentence ends at a line's end, after 。！？ and after . ! ? before white space, with the quotation marks and brackets
  that close there.
- Its hash is over its letters, digits and marks, folded as shingles fold them, digits all 0 if wished; a passage's
  length is counted in those too.

Letters are gathered first, without a branch for what only separates: a byte for one of ASCII, three for any other. The
hash goes over them eight bytes at a time: two lanes of 64 bits, each xor, multiply, shift (as FNV-1a, with a shift so
that high bits come back to low ones), mixed with MurmurHash3's finaliser at the end.
"""

import functools
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.dedup.passages.config import LengthConfig
from phoenix_assets.dedup.shingles import (
    SEPARATOR,
    SINGLE,
    WORD,
    Bytes,
    Codes,
    Hashes,
    Offsets,
    character_tables,
    decode,
    mix,
    text_buffers,
)

KERNEL_VERSION: Final = "2"

Numbers = npt.NDArray[np.int64]
Prints = npt.NDArray[np.uint32]
_NEWLINE: Final = 3
_STOP: Final = 4  # ends a sentence before white space
_FULL_STOP: Final = 5
_CLOSING: Final = 6  # belongs to the sentence that ended before it
_SPACE: Final = 7
_ANY: Final = 8  # not of ASCII
_USUAL: Final = 32  # bytes of a passage: room for more of them is made when it is needed
_SPECIAL: Final = (
    ("\n", _NEWLINE),
    (".!?", _STOP),
    ("。！？", _FULL_STOP),
    ("\"')]}”’」』）》〉】", _CLOSING),
    (" \t\u3000", _SPACE),
)
_GRAVE: Final = ord("`")
_BAR: Final = ord("|")
LINE_END: Final = ord("\n")
_SORT: Final = 24  # the bit from which on the table has the sort
_FOLDED: Final = (1 << _SORT) - 1
_LAST_CODE: Final = 0x3FFFF  # beyond it no letter is assigned
_ONE: Final = np.uint64(0x9E3779B97F4A7C15)  # odd: the 64-bit golden ratio
_OTHER: Final = np.uint64(0xC2B2AE3D27D4EB4F)  # odd: a prime of XXH64
_WORD: Final = np.uint64(0x9E3779B185EBCA87)  # odd: another one


class Cut(IntEnum):
    """How a text is cut into passages."""

    LINES = 0
    BLOCKS = 1
    SENTENCES = 2


@dataclass(frozen=True)
class Passages:
    """The passages of a column of texts: those of text i are `bounds[i] : bounds[i + 1]` of every other array."""

    data: Bytes  # UTF-8 of all texts
    bounds: Offsets
    starts: Numbers  # in `data`; a passage ends where the next one of its text starts
    ends: Numbers
    letters: Numbers  # letters, digits and marks
    singles: Numbers  # those of them that are of a script without spaces
    hashes: Prints  # (passages, 4)

    @property
    def totals(self) -> Numbers:
        """The letters of each text."""
        before = np.concatenate([[0], np.cumsum(self.letters)])
        return np.asarray(before[self.bounds[1:]] - before[self.bounds[:-1]], np.int64)

    @property
    def texts(self) -> Numbers:
        """The number of the text of each passage."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    def at_edges(self, head: int, tail: int) -> npt.NDArray[np.bool_]:
        """Return which passages are among the first `head` or the last `tail` of their text."""
        edges = np.zeros(len(self.starts), np.bool_)
        begin, end = self.bounds[:-1], self.bounds[1:]
        begin, end = begin[begin < end], end[begin < end]
        for place in range(head):
            edges[np.minimum(begin + place, end - 1)] = True
        for place in range(tail):
            edges[np.maximum(end - 1 - place, begin)] = True
        return edges

    def long_enough(self, at_least: LengthConfig) -> npt.NDArray[np.bool_]:
        """Return which passages are long enough to be compared."""
        words, characters = at_least.words, at_least.characters
        return (self.letters - self.singles) * characters + self.singles * words >= words * characters


def split(texts: pl.Series, cut: Cut, *, zero_digits: bool) -> Passages:
    """Return the passages of a String column; null is the empty text."""
    data, offsets = text_buffers(texts)
    classes = _classes(zero_digits=zero_digits)
    longest = int(np.diff(offsets).max(initial=0))
    gathered = np.empty(longest * 3 // 16 + 2, np.uint64)  # a letter of two bytes takes three
    bounds, starts, letters, hashes = _split(data, offsets, classes, int(cut), gathered)
    prints = hashes.view(np.uint32).reshape(len(hashes), 4)
    return Passages(data, bounds, starts[:-1], starts[1:], letters[:, 0], letters[:, 1], prints)


@functools.lru_cache(maxsize=2)
def _classes(*, zero_digits: bool) -> Codes:
    """Return what each code point is folded to, and above it its sort: one look says both."""
    fold, kind = character_tables()
    fold, sort = fold.copy(), kind.copy()
    if zero_digits:
        digits = [code for code in range(_LAST_CODE) if unicodedata.decimal(chr(code), None) is not None]
        fold[digits] = ord("0")
    for characters, special in _SPECIAL:
        sort[[ord(character) for character in characters]] = special
    return fold | sort.astype(np.uint32) << np.uint32(_SORT)


@numba.njit(cache=True, nogil=True)
def _code(data: Bytes, at: int) -> tuple[int, int]:
    """Return (code point, bytes) of the character at `at`; what no letter is stands for what lies beyond all letters."""
    code, size = decode(data, at)
    return min(code, _LAST_CODE), size


@numba.njit(cache=True, nogil=True)
def _fence(data: Bytes, at: int, end: int) -> bool:
    return at + 3 <= end and data[at] == _GRAVE and data[at + 1] == _GRAVE and data[at + 2] == _GRAVE


@numba.njit(cache=True, nogil=True)
def _over(data: Bytes, at: int, end: int, classes: Codes, first: int, second: int) -> int:
    """Return the first place from `at` on that has neither of two sorts of character."""
    while at < end:
        code, size = _code(data, at)
        if classes[code] >> _SORT not in (first, second):
            break
        at += size
    return at


@numba.njit(cache=True, nogil=True)
def _split(
    data: Bytes, offsets: Offsets, classes: Codes, cut: int, gathered: Hashes
) -> tuple[Offsets, Numbers, Numbers, Hashes]:
    """Return bounds, starts and the last end, (letters, singles) and two hash lanes of the passages of all texts."""
    bounds = np.zeros(len(offsets), np.int64)
    room = len(offsets) + (offsets[-1] - offsets[0]) // _USUAL + 1
    starts = np.empty((room, 1), np.int64)
    letters = np.empty((room, 2), np.int64)
    hashes = np.empty((room, 2), np.uint64)
    folded, quick = gathered.view(np.uint8), _quick(classes, cut)
    used = 0
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        while at < end:
            if used + 1 == len(starts):
                starts, letters, hashes = _wider(starts), _wider(letters), _wider(hashes)
            starts[used, 0] = at
            at, size, count, singles = _passage(data, at, end, classes, quick, cut, folded)
            letters[used, 0], letters[used, 1] = count, singles
            hashes[used, 0], hashes[used, 1] = _hash(gathered, size)
            used += 1
        bounds[text + 1] = used
    starts[used, 0] = offsets[-1]
    return bounds, starts[: used + 1, 0], letters[:used], hashes[:used]


@numba.njit(cache=True, nogil=True)
def _quick(classes: Codes, cut: int) -> Bytes:
    """Return rows sort and folded by byte: sort is SEPARATOR, WORD, or more for what has to be looked at."""
    quick = np.full((2, 256), _ANY, np.uint8)
    for code in range(0x80):
        sort = classes[code] >> _SORT
        looked_at = sort == _NEWLINE or (cut == Cut.SENTENCES and sort == _STOP)
        quick[0, code] = sort if looked_at or sort == WORD else SEPARATOR
        quick[1, code] = classes[code] & _FOLDED
    return quick


@numba.njit(cache=True, nogil=True)
def _absorb(one: np.uint64, other: np.uint64, word: np.uint64) -> tuple[np.uint64, np.uint64]:
    word *= _WORD
    word ^= word >> np.uint64(32)
    one = (one ^ word) * _ONE
    other = (other ^ word) * _OTHER
    return one ^ one >> np.uint64(32), other ^ other >> np.uint64(29)


@numba.njit(cache=True, nogil=True)
def _hash(gathered: Hashes, size: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the two lanes of the first `size` bytes."""
    one, other = _OTHER ^ size, _ONE
    whole = size >> np.uint64(3)
    for place in range(whole):
        one, other = _absorb(one, other, gathered[place])
    rest = (size & np.uint64(7)) << np.uint64(3)
    one, other = _absorb(one, other, gathered[whole] & ((np.uint64(1) << rest) - np.uint64(1)))
    return mix(one + other), mix(one ^ mix(other))


@numba.njit(cache=True, nogil=True, inline="always")
def _passage(
    data: Bytes, at: int, end: int, classes: Codes, quick: Bytes, cut: int, folded: Bytes
) -> tuple[int, np.uint64, int, int]:
    """Return where the passage at `at` ends, bytes of its letters in `folded`, its letters, and how many are single."""
    size = np.uint64(0)  # unsigned, as places: spares the test for negative indices
    letters = singles = 0
    fenced, table = _fence(data, at, end), data[at] == _BAR
    while at < end:
        place, stop, before = np.uint64(at), np.uint64(end), size
        while place < stop:
            first = data[place]
            kind = quick[0, first]
            if kind > WORD:
                break
            folded[size] = quick[1, first]
            size += np.uint64(kind)
            place += np.uint64(1)
        letters += np.int64(size - before)  # type: ignore[assignment]
        at = np.int64(place)  # type: ignore[assignment]
        while at < end and data[at] >= 0x80:
            code, width = _code(data, at)
            entry = classes[code]
            kind, plain = entry >> _SORT, entry & _FOLDED
            if kind == _FULL_STOP and cut == Cut.SENTENCES:
                break
            letter = kind in (WORD, SINGLE)
            folded[size] = plain if plain < 0x80 else 0x80 | plain >> 14
            folded[size + np.uint64(1)] = plain >> 7 & 0x7F
            folded[size + np.uint64(2)] = plain & 0x7F
            size += np.uint64(letter * (1 if plain < 0x80 else 3))
            letters += letter
            singles += kind == SINGLE
            at += width
        if at == end or quick[0, data[at]] <= WORD:
            continue
        code, width = _code(data, at)
        kind = classes[code] >> _SORT
        at += width
        if kind == _NEWLINE:
            if fenced:
                if _fence(data, at, end):  # the line that closes
                    fenced = False
                continue
            if table and at < end and data[at] == _BAR:
                continue
            table = False
            if cut == Cut.BLOCKS and at < end and data[at] != LINE_END:
                continue
            at = _over(data, at, end, classes, _NEWLINE, _NEWLINE)
            break
        if not (fenced or table):  # a full stop or a stop
            after = _over(data, at, end, classes, _CLOSING, _FULL_STOP)
            space = _over(data, after, end, classes, _SPACE, _SPACE)
            line_end = space == end or data[space] == LINE_END
            if not line_end and (kind == _FULL_STOP or space > after):
                at = space
                break
    return at, size, letters, singles


@numba.njit(cache=True, nogil=True)
def _wider(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    wider = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    wider[: len(rows)] = rows
    return wider

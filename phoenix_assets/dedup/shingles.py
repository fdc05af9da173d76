"""Text to sets of shingle hashes, in one pass over Arrow's offsets and bytes.

The model:
- A character is folded first: compatibility forms to their plain form (full width to half width), upper case
  to lower.
- Punctuation, white space, symbols and control characters only separate.
- A token is a run of letters, digits and marks; in a script written without spaces it is one character.
- A shingle is n consecutive tokens; the script of its first token chooses n. So a document's shingles depend
  on its text alone, never on a language label that may differ between two copies of it.
- A document with fewer tokens than one shingle has one shingle of everything; one without any token has none.

A shingle's hash is the difference of two prefix values of a polynomial over mixed token hashes (Karp & Rabin,
1987), mixed with MurmurHash3's 64-bit finaliser and cut to its high 32 bits.
"""

import functools
import unicodedata
from collections.abc import Iterator
from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from phoenix_assets.dedup.config import MAX_SHINGLE, ShingleConfig

KERNEL_VERSION: Final = "1"

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

SEPARATOR: Final = 0
WORD: Final = 1
SINGLE: Final = 2  # a token of its own

_CODES: Final = 0x40000  # planes 0 to 3: beyond them no letter is assigned
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # iteration mark, ideographic zero
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31FF),  # Bopomofo and Katakana extensions
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x1B000, 0x1B16F),  # Kana supplements
    (0x20000, 0x3FFFF),  # Han, extensions B and following
)
_RING: Final = 2 * MAX_SHINGLE  # a power of two
_MASK: Final = _RING - 1
_BASE: Final = 0x9E3779B97F4A7C15  # odd: the 64-bit golden ratio
_BATCH_BYTES: Final = 1 << 24


@functools.lru_cache(maxsize=1)
def character_tables() -> tuple[Codes, Bytes]:
    """Return (folded code point, kind) by code point of planes 0 to 3; kind is SEPARATOR, WORD or SINGLE."""
    fold = np.arange(_CODES, dtype=np.uint32)
    kind = np.zeros(_CODES, np.uint8)
    for code in range(_CODES):
        character = chr(code)
        if unicodedata.category(character)[0] in "LNM" or not character.isascii():
            plain = unicodedata.normalize("NFKC", character)
            lower = plain.lower() if len(plain) == 1 else character.lower()
            folded = lower if len(lower) == 1 else character
            fold[code] = ord(folded)
            kind[code] = WORD if unicodedata.category(folded)[0] in "LNM" else SEPARATOR
    for first, last in _UNSPACED:
        block = kind[first : last + 1]
        block[block == WORD] = SINGLE
    kind = np.where(kind == SEPARATOR, kind, np.maximum(kind, kind[np.minimum(fold, _CODES - 1)]))
    return fold, kind


def text_buffers(text: pl.Series) -> tuple[Bytes, Offsets]:
    """Return the UTF-8 bytes of a String column and its n + 1 offsets; null is the empty text."""
    array = text.fill_null("").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    array = array.cast(pa.large_string())
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    letters = np.frombuffer(data if data is not None else b"", np.uint8)
    for buffer in (letters, bounds):
        buffer.setflags(write=False)  # whoever owns it: kernels are compiled once
    return letters, bounds


def batches(text: pl.Series) -> Iterator[tuple[int, pl.Series]]:
    """Yield (first row, slice) of a String column so that a slice has at most 16 MB or one document."""
    ends = text.str.len_bytes().fill_null(0).cum_sum().to_numpy()
    start = 0
    while start < len(text):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
        yield start, text.slice(start, stop - start)
        start = stop


def shingle_hashes(text: pl.Series, shingle: ShingleConfig) -> tuple[Codes, Offsets]:
    """Return all documents' shingle hashes one after another, repeats included, and n + 1 offsets."""
    data, offsets = text_buffers(text)
    fold, kind = character_tables()
    # A token takes two bytes with its separator, but for a last token of one letter.
    size = int(offsets[-1] - offsets[0]) // 2 + len(text) + 1
    values = np.empty(size, np.uint32)
    ends = np.zeros(len(text) + 1, np.int64)
    _hash_shingles(
        data,
        offsets,
        fold,
        kind,
        shingle.words,
        shingle.characters,
        np.uint64(pow(_BASE, shingle.words, 1 << 64)),
        np.uint64(pow(_BASE, shingle.characters, 1 << 64)),
        values,
        ends,
    )
    return values[: ends[-1]], ends


def folded_text(text: pl.Series) -> tuple[Bytes, Offsets]:
    """Return all documents' folded letters, digits and marks as UTF-8 without gaps, and n + 1 offsets."""
    data, offsets = text_buffers(text)
    fold, kind = character_tables()
    folded = np.empty(2 * int(offsets[-1] - offsets[0]), np.uint8)  # folding lengthens 2 bytes to 3 at most
    ends = np.zeros(len(text) + 1, np.int64)
    _fold(data, offsets, fold, kind, folded, ends)
    return folded[: ends[-1]], ends


@numba.njit(cache=True, nogil=True)
def mix(value: np.uint64) -> np.uint64:
    """Return MurmurHash3's 64-bit finaliser of a value."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@numba.njit(cache=True, nogil=True)
def decode(data: Bytes, at: int) -> tuple[int, int]:
    """Return (code point, bytes) of the character at `at` of valid UTF-8."""
    first = int(data[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (data[at + 1] & 0x3F), 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (data[at + 1] & 0x3F) << 6 | (data[at + 2] & 0x3F), 3
    tail = (data[at + 1] & 0x3F) << 12 | (data[at + 2] & 0x3F) << 6 | (data[at + 3] & 0x3F)
    return (first & 0x07) << 18 | tail, 4


@numba.njit(cache=True, nogil=True)
def _push(
    token: np.uint64,
    single: int,
    count: int,
    prefix: np.uint64,
    prefixes: Hashes,
    singles: Bytes,
    sizes: Offsets,
    powers: Hashes,
    values: Codes,
    written: int,
) -> tuple[np.uint64, int]:
    """Add a token; write the shingles that end with it. Returns (prefix, written)."""
    singles[count & _MASK] = single
    prefixes[count & _MASK] = prefix
    prefix = prefix * np.uint64(_BASE) + mix(token)
    for script in range(2):
        start = count + 1 - sizes[script]
        if start >= 0 and singles[start & _MASK] == script:
            values[written] = np.uint32(
                mix(prefix - prefixes[start & _MASK] * powers[script]) >> np.uint64(32)
            )
            written += 1
    return prefix, written


@numba.njit(cache=True, nogil=True)
def _hash_shingles(
    data: Bytes,
    offsets: Offsets,
    fold: Codes,
    kind: Bytes,
    words: int,
    characters: int,
    words_power: np.uint64,
    characters_power: np.uint64,
    values: Codes,
    ends: Offsets,
) -> None:
    sizes = np.array([words, characters], np.int64)
    powers = np.array([words_power, characters_power], np.uint64)
    prefixes = np.zeros(_RING, np.uint64)
    singles = np.zeros(_RING, np.uint8)
    written = np.int64(0)
    for document in range(len(offsets) - 1):
        first = written
        count = np.int64(0)
        prefix = np.uint64(0)
        token = np.uint64(0)
        at = offsets[document]
        end = offsets[document + 1]
        while at <= end:
            while at < end and data[at] < 0x80 and kind[data[at]] == WORD:
                token = (token ^ np.uint64(fold[data[at]] + np.uint32(1))) * np.uint64(0x100000001B3)
                at += 1
            code, size = (0, 1) if at == end else decode(data, at)
            at += size
            sort = kind[code] if code < _CODES else SEPARATOR
            if sort == WORD:
                token = (token ^ np.uint64(fold[code] + np.uint32(1))) * np.uint64(0x100000001B3)
                continue
            if token != 0:
                prefix, written = _push(
                    token, 0, count, prefix, prefixes, singles, sizes, powers, values, written
                )
                count += 1
                token = np.uint64(0)
            if sort == SINGLE:
                single = np.uint64(fold[code] + np.uint32(1)) * np.uint64(0x100000001B3)
                prefix, written = _push(
                    single, 1, count, prefix, prefixes, singles, sizes, powers, values, written
                )
                count += 1
        if written == first and count > 0:
            values[written] = np.uint32(mix(prefix) >> np.uint64(32))
            written += 1
        ends[document + 1] = written


@numba.njit(cache=True, nogil=True)
def _fold(data: Bytes, offsets: Offsets, fold: Codes, kind: Bytes, folded: Bytes, ends: Offsets) -> None:
    written = np.int64(0)
    for document in range(len(offsets) - 1):
        at = offsets[document]
        while at < offsets[document + 1]:
            code, size = decode(data, at)
            at += size
            if code >= _CODES or kind[code] == SEPARATOR:
                continue
            plain = fold[code]
            if plain < 0x80:
                folded[written] = plain
                written += 1
            elif plain < 0x800:
                folded[written] = 0xC0 | plain >> 6
                folded[written + 1] = 0x80 | plain & 0x3F
                written += 2
            elif plain < 0x10000:
                folded[written] = 0xE0 | plain >> 12
                folded[written + 1] = 0x80 | plain >> 6 & 0x3F
                folded[written + 2] = 0x80 | plain & 0x3F
                written += 3
            else:
                folded[written] = 0xF0 | plain >> 18
                folded[written + 1] = 0x80 | plain >> 12 & 0x3F
                folded[written + 2] = 0x80 | plain >> 6 & 0x3F
                folded[written + 3] = 0x80 | plain & 0x3F
                written += 4
        ends[document + 1] = written

"""The tokens of HTML in UTF-8 bytes: where names, attributes, comments and raw text end (the WHATWG tokenizer's states)."""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types of its kernels

from typing import Final

import numba
import numpy as np

from phoenix_assets.ingest.keywords import keyword_bits
from phoenix_assets.ingest.tags import name_hash

KERNEL_VERSION: Final = "1"

# Properties of elements, as bits; keywords give others.
HIDDEN, DECORATION = 1, 2  # not displayed; displayed, but not read aloud

_CLASS, _ID, _ROLE, _ITEMPROP = (name_hash(name) for name in ("class", "id", "role", "itemprop"))
_STYLE, _HIDDEN, _ARIA_HIDDEN = (name_hash(name) for name in ("style", "hidden", "aria-hidden"))
_HREF = name_hash("href")
_NO_DISPLAY: Final = np.frombuffer(b"display:none", np.uint8)


@numba.njit(cache=True, nogil=True)
def next_markup(data, at):  # type: ignore[no-untyped-def]
    """Return the position of the next "<" that begins a tag, a comment or a declaration, else the end."""
    last = data.size - 1
    while at < last:
        if data[at] == 60:
            first = data[at + 1]
            if 97 <= (first | 32) <= 122 or first == 33 or first == 47 or first == 63:
                return at
        at += 1
    return data.size


@numba.njit(cache=True, nogil=True)
def after_declaration(data, at):  # type: ignore[no-untyped-def]
    """Return the position after the comment or declaration that begins at `at`."""
    if at + 3 < data.size and data[at + 1] == 33 and data[at + 2] == 45 and data[at + 3] == 45:
        return _after_comment(data, at + 4)
    while at < data.size and data[at] != 62:
        at += 1
    return min(at + 1, data.size)


@numba.njit(cache=True, nogil=True)
def _after_comment(data, at):  # type: ignore[no-untyped-def]
    """Return the position after the comment whose "<!--" ends before `at`."""
    size = data.size
    if at < size and data[at] == 62:
        return at + 1
    if at + 1 < size and data[at] == 45 and data[at + 1] == 62:
        return at + 2
    while at + 2 < size:
        if data[at] == 45 and data[at + 1] == 45:
            if data[at + 2] == 62:
                return at + 3
            if data[at + 2] == 33 and at + 3 < size and data[at + 3] == 62:
                return at + 4
        at += 1
    return size


@numba.njit(cache=True, nogil=True)
def read_name(data, at):  # type: ignore[no-untyped-def]
    """Return the hash of the lower-case name at `at`, which ends at white space, "/", ">" or "=", and its end."""
    name = np.int64(5381)
    while at < data.size:
        byte = data[at]
        if byte <= 32 or byte == 47 or byte == 62 or byte == 61:
            break
        if 65 <= byte <= 90:
            byte += 32
        name = (name * 33 + byte) & 0xFFFFFFFF
        at += 1
    return name, at


@numba.njit(cache=True, nogil=True)
def holds(data, start, end, words):  # type: ignore[no-untyped-def]
    """Tell whether `words` is in `data[start:end]`, whatever the case and white space there."""
    matched = 0
    for at in range(start, end):
        byte = data[at]
        if byte <= 32:
            continue
        if 65 <= byte <= 90:
            byte += 32
        if byte != words[matched]:
            matched = 0
        if byte == words[matched]:
            matched += 1
            if matched == words.size:
                return True
    return False


@numba.njit(cache=True, nogil=True)
def _meaning(data, name, start, end, moves, found):  # type: ignore[no-untyped-def]
    """Return the bits that an attribute gives its element."""
    if name in (_CLASS, _ID, _ROLE, _ITEMPROP):
        return keyword_bits(data, start, end, moves, found)
    if name == _HIDDEN:
        return np.int64(HIDDEN)
    if name == _ARIA_HIDDEN:
        return np.int64(DECORATION if start < end and data[start] | 32 == 116 else 0)
    if name == _STYLE and holds(data, start, end, _NO_DISPLAY):
        return np.int64(HIDDEN)
    return np.int64(0)


@numba.njit(cache=True, nogil=True)
def attributes(data, at, moves, found):  # type: ignore[no-untyped-def]
    """Return (attributes, bits, has an address, is self-closing, position after ">") of a tag after its name."""
    size, count, bits, link, slash = data.size, 0, np.int64(0), False, False
    while at < size:
        byte = data[at]
        if byte == 62:
            return count, bits, link, slash, at + 1
        if byte <= 32 or byte == 47:
            slash = byte == 47
            at += 1
            continue
        count += 1
        slash = False
        name, at = read_name(data, at + 1 if byte == 61 else at)  # a leading "=" belongs to the name
        after = at
        while after < size and data[after] <= 32:
            after += 1
        if after >= size or data[after] != 61:
            bits |= _meaning(data, name, at, at, moves, found)
            continue
        at = after + 1
        while at < size and data[at] <= 32:
            at += 1
        start = at
        if at < size and (data[at] == 34 or data[at] == 39):
            quote = data[at]
            start = at + 1
            at += 1
            while at < size and data[at] != quote:
                at += 1
            end = min(at, size)
            at += 1
        else:
            while at < size and data[at] > 32 and data[at] != 62:
                at += 1
            end = at
        link |= name == _HREF
        bits |= _meaning(data, name, start, end, moves, found)
    return count, bits, link, slash, size


@numba.njit(cache=True, nogil=True)
def after_raw_text(data, at, name):  # type: ignore[no-untyped-def]
    """Return the position of the end tag of the raw text element `name` whose content begins at `at`."""
    while at + 1 < data.size:
        if data[at] == 60 and data[at + 1] == 47:
            closing, _ = read_name(data, at + 2)
            if closing == name:
                return at
        at += 1
    return data.size

"""Addresses of mailboxes and of machines: e-mail, IPv4, IPv6.

Versions, times, names of C++ and file names with an @ in them look alike; what is no address says so by its numbers, by
what follows the last dot or by its neighbours.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Hashes, Ints, Points
from phoenix_assets.clean.personal_candidates import (
    COLON,
    DOT,
    EMAIL,
    HYPHEN,
    IP,
    NONE,
    PLUS,
    SLASH,
    Digits,
    free_after,
    is_alphanumeric,
    is_digit,
    value_of,
)

KERNEL_VERSION: Final = "1"

DOCUMENTATION: Final = np.array([ord(c) for c in "2001"], np.uint32)  # 2001:db8::/32, RFC 3849
DB8: Final = np.array([ord(c) for c in "db8"], np.uint32)


@njit(cache=True, nogil=True)
def word_hash(
    text: Points,
    start: int,
    end: int,
) -> Any:
    """Return a hash of the ASCII letters of `text[start:end]` in lower case."""
    value = np.int64(7)
    for i in range(start, end):
        value = (value * 131 + (np.int64(text[i]) | 32)) & 0xFFFFFFFFFFFF
    return value


@njit(cache=True, nogil=True)
def is_ipv4(
    digits: Digits,
    sizes: Ints,
    groups: int,
    version_parts_below: int,
    public_only: bool,
) -> bool:
    """Return whether the groups are an IPv4 address: of the public ranges, no version."""
    if groups != 4:
        return False
    start = 0
    low = True
    first = second = third = part = np.int64(0)
    for k in range(groups):
        part = value_of(digits, start, start + sizes[k])
        if sizes[k] > 3 or part > 255 or (sizes[k] > 1 and digits[start] == 0):
            return False
        low &= part < version_parts_below
        first = part if k == 0 else first
        second = part if k == 1 else second
        third = part if k == 2 else third
        start += sizes[k]
    if low:
        return False
    private = first == 10 or (first == 172 and 16 <= second <= 31) or (first == 192 and second == 168)
    private |= first == 0 or first == 127 or first >= 224 or (first == 169 and second == 254)
    private |= (first == 100 and 64 <= second <= 127) or (first == 198 and 18 <= second <= 19)
    examples = (first == 192 and second == 0 and third == 2) or (
        first == 198 and second == 51 and third == 100
    )
    examples |= (first == 203 and second == 0 and third == 113) or part == 0  # of the last: a network
    return not (public_only and (private or examples))


@njit(cache=True, nogil=True)
def email_at(
    text: Points,
    i: int,
    after: int,
    endings: Hashes,
) -> Any:
    """Look for a mail address around the @ at `i`; `endings` are hashes of what follows the last dot of no domain."""
    first = i
    while first > after and (
        is_alphanumeric(text[first - 1]) or text[first - 1] in (DOT, HYPHEN, PLUS, 0x25)
    ):
        first -= 1
    while first < i and not is_alphanumeric(text[first]):
        first += 1
    last = i + 1
    label = dot = i + 1
    while last < len(text) and (is_alphanumeric(text[last]) or text[last] == DOT or text[last] == HYPHEN):
        if text[last] == DOT:
            if last == label or last + 1 >= len(text) or not is_alphanumeric(text[last + 1]):
                break
            dot = last
            label = last + 1
        last += 1
    if first == i or dot == i + 1 or last - label < 2 or text[i - 1] == DOT:
        return i, i, NONE
    for k in range(label, last):
        if is_digit(text[k]) or text[k] == HYPHEN or text[k] == 95:
            return i, i, NONE
    before = dot
    while before > i + 1 and text[before - 1] != DOT:
        before -= 1
    for ending in (word_hash(text, label, last), word_hash(text, before, dot)):
        place = np.searchsorted(endings, ending)
        if place < len(endings) and endings[place] == ending:
            return i, i, NONE
    # user@host.tld:path is a place to copy from.
    if (
        last + 1 < len(text)
        and text[last] == COLON
        and (is_alphanumeric(text[last + 1]) or text[last + 1] == SLASH)
    ):
        return i, i, NONE
    return first, last, EMAIL


@njit(cache=True, nogil=True)
def _is_hex(
    c: Any,
) -> Any:
    return 48 <= c <= 57 or 65 <= c <= 70 or 97 <= c <= 102


@njit(cache=True, nogil=True)
def ipv6_at(
    text: Points,
    i: int,
    after: int,
    public_only: bool,
) -> Any:
    """Look for an IPv6 address whose first colon is at `i`."""
    first = i
    while first > after and i - first < 5 and _is_hex(text[first - 1]):
        first -= 1
    if i - first > 4 or (
        first > 0 and (is_alphanumeric(text[first - 1]) or text[first - 1] in (COLON, DOT, HYPHEN))
    ):
        return i, i, NONE
    groups = doubles = decimals = size = 0
    last = first
    while last < len(text) and groups <= 8 and (_is_hex(text[last]) or text[last] == COLON):
        if text[last] == COLON:
            double = last > first and text[last - 1] == COLON
            doubles += double
            if double and last > first + 1 and text[last - 2] == COLON:
                return i, i, NONE
            size = 0
        else:
            groups += size == 0
            size += 1
            decimals += is_digit(text[last])
            if size > 4:
                return i, i, NONE
        last += 1
    while last > first and text[last - 1] == COLON and doubles == 0:
        last -= 1
    whole = (doubles == 0 and groups == 8) or (doubles == 1 and 3 <= groups <= 7)
    if not whole or decimals == 0 or not free_after(text, last):
        return i, i, NONE
    public = i - first == 4 and (text[first] == 50 or text[first] == 51)
    example = i - first == 4 and word_hash(text, first, i) == word_hash(DOCUMENTATION, 0, 4)
    after_zero = i + 1 + (i + 1 < len(text) and text[i + 1] == 48)
    example &= word_hash(text, after_zero, min(len(text), after_zero + 3)) == word_hash(DB8, 0, 3)
    if public_only and (not public or example):
        return i, i, NONE
    return first, last, IP

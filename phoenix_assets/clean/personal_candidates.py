"""What the rules of personal data share: the kinds as numbers, groups of digits, where a candidate may begin and end.

A number is up to six groups of digits with one space, hyphen or dot between two of them.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from phoenix_assets.clean.buffers import Ints, Points
from phoenix_assets.clean.config import PersonalData

KERNEL_VERSION: Final = "1"

Digits = npt.NDArray[np.int64]

KINDS: Final = tuple(PersonalData)
EMAIL, IDENTITY, OLD_IDENTITY, MOBILE, CARD, LANDLINE, FOREIGN, IP, PLATE = range(len(KINDS))
NONE: Final = -1
MOST_GROUPS: Final = 6
MOST_DIGITS: Final = 24
BLANK, HYPHEN, DOT, PLUS = 32, 45, 46, 43
AT, COLON, SLASH, OPENING, CLOSING = 0x40, 0x3A, 0x2F, 0x28, 0x29


@njit(cache=True, nogil=True, inline="always")
def is_digit(
    c: Any,
) -> Any:
    """Return whether `c` is an ASCII digit."""
    return 48 <= c <= 57


@njit(cache=True, nogil=True, inline="always")
def is_alphanumeric(
    c: Any,
) -> Any:
    """Return whether `c` is an ASCII letter or digit, or an underscore."""
    return 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == 95


@njit(cache=True, nogil=True)
def read_groups(
    text: Points,
    i: int,
    digits: Digits,
    sizes: Ints,
    ends: Ints,
) -> int:
    """Read the groups of digits from `i` on: their digits, sizes and ends; return how many there are."""
    used = 0
    count = 0
    while count < MOST_GROUPS:
        start = i
        while i < len(text) and is_digit(text[i]):
            if used < MOST_DIGITS:
                digits[used] = text[i] - 48
            used += 1
            i += 1
        if used > MOST_DIGITS:
            break
        sizes[count] = i - start
        ends[count] = i
        count += 1
        between = i + 1 < len(text) and (text[i] == BLANK or text[i] == HYPHEN or text[i] == DOT)
        if not between or not is_digit(text[i + 1]):
            break
        i += 1
    return count


@njit(cache=True, nogil=True)
def free_before(
    text: Points,
    i: int,
) -> bool:
    """Return whether a number can begin at `i`: not inside a word, a decimal, a version or a path."""
    if i == 0:
        return True
    before = text[i - 1]
    if is_alphanumeric(before) or before == PLUS or before == 0x40:
        return False
    joins = before in (DOT, HYPHEN) or before == 47
    if not joins or i == 1:
        return True
    return not is_alphanumeric(text[i - 2]) or (before == 0x2F and is_digit(text[i - 2]))


@njit(cache=True, nogil=True)
def free_after(
    text: Points,
    i: int,
) -> bool:
    """Return whether a number can end before `i`."""
    if i >= len(text):
        return True
    c = text[i]
    if is_alphanumeric(c) or c == 0x40 or c == 0x25:
        return False
    return not ((c in (DOT, HYPHEN)) and i + 1 < len(text) and is_alphanumeric(text[i + 1]))


@njit(cache=True, nogil=True)
def value_of(
    digits: Digits,
    start: int,
    end: int,
) -> Any:
    """Return the number that the digits from `start` to `end` are."""
    value = np.int64(0)
    for k in range(start, end):
        value = value * 10 + digits[k]
    return value


@njit(cache=True, nogil=True)
def is_round(
    digits: Digits,
    count: int,
) -> Any:
    """Return whether the number ends in five zeros, as amounts do."""
    return value_of(digits, count - 5, count) == 0

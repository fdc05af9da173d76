"""Phone numbers, Chinese and foreign.

- Mobile numbers: the prefixes that China's operators have; landlines: area codes and 7 or 8 digits that begin with 2-8.
- Foreign ones: E.164 after `+`, and the North American plan, area and exchange from 2 to 9.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Ints, Points
from phoenix_assets.clean.personal_candidates import (
    BLANK,
    CLOSING,
    DOT,
    FOREIGN,
    HYPHEN,
    LANDLINE,
    MOBILE,
    NONE,
    OPENING,
    Digits,
    free_after,
    is_alphanumeric,
    is_digit,
    is_round,
    read_groups,
    value_of,
)

KERNEL_VERSION: Final = "1"

# Country calling codes of E.164 by their first three digits; +1 and +7 have one digit, the others two or three.
COUNTRIES: Final = np.zeros(1000, np.bool_)
for _first, _last in (
    (100, 209), (211, 213), (216, 216), (218, 218), (220, 269), (270, 279), (290, 291), (297, 349), (350, 369),
    (370, 419), (420, 421), (423, 423), (430, 499), (500, 669), (670, 670), (672, 692), (700, 799), (810, 829),
    (840, 849), (850, 850), (852, 853), (855, 856), (860, 869), (880, 880), (886, 886), (900, 968), (970, 977),
    (980, 989), (992, 996), (998, 998),
):  # fmt: skip
    COUNTRIES[_first : _last + 1] = True


@njit(cache=True, nogil=True)
def is_mobile(
    digits: Digits,
    count: int,
    sizes: Ints,
    groups: int,
) -> bool:
    """Return whether the groups are a Chinese mobile number, with or without the country's code."""
    start = count - 11
    if start == 2 or start == 4:
        if value_of(digits, 0, start) != 86:
            return False
    elif start != 0:
        return False
    apart = 1 if start > 0 and sizes[0] == start else 0
    whole = groups - apart == 1
    if not whole and not (groups - apart == 3 and sizes[apart + 1] == 4 and sizes[apart + 2] == 4):
        return False
    prefix = value_of(digits, start, start + 3)
    second, third = prefix // 10 % 10, prefix % 10
    known = second == 3 or second == 8
    known |= second == 4 and third >= 4
    known |= (second == 5 or second == 9) and third != 4
    known |= second == 6 and (third == 2 or third >= 5)
    known |= second == 7 and third <= 8
    return digits[start] == 1 and known and not is_round(digits, count)


@njit(cache=True, nogil=True)
def area_length(
    digits: Digits,
    start: int,
) -> int:
    """Return how many digits from `start` on are a Chinese area code without its 0, or 0 if they are none."""
    if digits[start] == 1:
        return 2 if digits[start + 1] == 0 else 0
    if digits[start] == 2:
        return 2 if digits[start + 1] != 6 else 0
    return 3 if digits[start] >= 3 else 0


@njit(cache=True, nogil=True)
def is_local(
    digits: Digits,
    start: int,
    end: int,
    area: int,
) -> bool:
    """Return whether the digits are a number within an area whose code has `area` digits without its 0."""
    size = end - start
    return (size == 8 or (size == 7 and area == 3)) and 2 <= digits[start] <= 8


@njit(cache=True, nogil=True)
def is_landline(
    digits: Digits,
    count: int,
    sizes: Ints,
    groups: int,
) -> Any:
    """Return whether the groups are an area code and a number within it, which may be in two groups."""
    if digits[0] != 0 or groups < 2 or groups > 3 or count < 10:
        return False
    if groups == 3 and (sizes[1] < 3 or sizes[1] > 4 or sizes[2] != 4):
        return False
    area = area_length(digits, 1)
    return area > 0 and sizes[0] == area + 1 and is_local(digits, area + 1, count, area)


@njit(cache=True, nogil=True)
def is_north_american(
    digits: Digits,
    count: int,
    sizes: Ints,
    groups: int,
) -> Any:
    """Return whether the groups are 3, 3 and 4 digits of the North American plan, after an optional 1."""
    start = count - 10
    if not (start == 0 and groups == 3) and not (
        start == 1 and groups == 4 and digits[0] == 1 and sizes[0] == 1
    ):
        return False
    shaped = sizes[groups - 3] == 3 and sizes[groups - 2] == 3 and sizes[groups - 1] == 4
    return shaped and digits[start] >= 2 and digits[start + 3] >= 2


@njit(cache=True, nogil=True)
def with_extension(
    text: Points,
    end: int,
) -> int:
    """Return where a landline's extension ends: a hyphen or 转, and one to five digits."""
    if end + 1 < len(text) and (text[end] == HYPHEN or text[end] == ord("转")):
        i = end + 1
        while i < len(text) and is_digit(text[i]):
            i += 1
        if 1 <= i - end - 1 <= 5:
            return i
    return end


@njit(cache=True, nogil=True)
def parenthesised_phone(
    text: Points,
    i: int,
    digits: Any,
    sizes: Ints,
    ends: Ints,
) -> tuple[int, int, int]:
    """Look for an area code in parentheses, Chinese or North American, and the number after it."""
    closing = text[i] + np.uint32(CLOSING - OPENING)
    area = np.zeros(4, np.int64)
    j = i + 1
    while j < len(text) and is_digit(text[j]) and j - i <= 4:
        area[j - i - 1] = text[j] - 48
        j += 1
    size = j - i - 1
    if size < 3 or j >= len(text) or text[j] != closing:
        return i, i, NONE
    j += 1
    if j < len(text) and (text[j] == BLANK or text[j] == HYPHEN):
        j += 1
    groups = read_groups(text, j, digits, sizes, ends) if j < len(text) and is_digit(text[j]) else 0
    for number in range(min(groups, 2), 0, -1):
        count = sizes[0] + (sizes[1] if number == 2 else 0)
        last = ends[number - 1]
        if area[0] == 0:
            length = area_length(area, 1)
            last = with_extension(text, last)
            if length == size - 1 and is_local(digits, 0, count, length) and free_after(text, last):
                return i, last, LANDLINE
        elif (
            size == 3
            and area[0] >= 2
            and count == 7
            and sizes[0] == 3
            and digits[0] >= 2
            and free_after(text, last)
        ):
            return i, last, FOREIGN
    return i, i, NONE


@njit(cache=True, nogil=True)
def international_phone(
    text: Points,
    i: int,
    digits: Any,
) -> tuple[int, int, int]:
    """Look for a phone number after the plus sign at `i`."""
    if i > 0 and (is_alphanumeric(text[i - 1]) or text[i - 1] == CLOSING):
        return i, i, NONE
    count = found = 0
    last = j = i + 1
    gap = 0
    least, most = 9, 15
    while j < len(text) and gap <= 2 and count < most:
        if is_digit(text[j]):
            digits[count] = text[j] - 48
            count += 1
            gap = 0
            if count == 4:  # North America, Chinese mobile numbers: their length is known
                chinese = digits[0] == 8 and digits[1] == 6 and digits[2] == 1 and digits[3] >= 3
                if digits[0] == 1 or chinese:
                    least = most = 11 if digits[0] == 1 else 13
            group_ends = j + 1 == len(text) or not is_digit(text[j + 1])
            if group_ends and count >= least and free_after(text, j + 1):
                found, last = count, j + 1
        elif text[j] in (BLANK, HYPHEN, DOT, OPENING, CLOSING):
            gap += 1
        else:
            break
        j += 1
    if found == 0 or not COUNTRIES[100 * digits[0] + 10 * digits[1] + digits[2]]:
        return i, i, NONE
    count = found
    zeros = 0
    for k in range(count - 5, count):
        zeros += digits[k] == 0
    if zeros == 5 or (digits[0] == 1 and (count != 11 or digits[1] < 2)):
        return i, i, NONE
    if digits[0] == 8 and digits[1] == 6:
        return i, last, MOBILE if count == 13 and digits[2] == 1 and digits[3] >= 3 else LANDLINE
    return i, last, FOREIGN

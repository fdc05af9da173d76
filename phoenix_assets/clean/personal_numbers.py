"""Numbers of persons and of what they own: resident identity numbers, bank cards, licence plates.

- Resident identity numbers: GB 11643-1999, region, birth date, check digit (ISO 7064 MOD 11-2); of 15 digits before 1999.
- Bank cards: ISO/IEC 7812, a known issuer's first digits, 13 to 19 digits, Luhn's check digit.
- Licence plates: GA 36-2018, of ordinary and new-energy cars.

Dates, ISBN and amounts have other first digits or a wrong check digit.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Ints, Points
from phoenix_assets.clean.personal_candidates import (
    BLANK,
    DOT,
    HYPHEN,
    NONE,
    PLATE,
    Digits,
    free_after,
    is_digit,
    is_round,
    value_of,
)

KERNEL_VERSION: Final = "1"

FIRST_YEAR, LAST_YEAR = 1900, 2035  # of births
REGIONS: Final = np.zeros(100, np.bool_)  # first two digits of identity numbers, GB/T 2260
REGIONS[
    [
        *range(11, 16),
        *range(21, 24),
        *range(31, 38),
        *range(41, 47),
        *range(50, 55),
        *range(61, 66),
        71,
        81,
        82,
        83,
    ]
] = True
DAYS: Final = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
PROVINCES: Final = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使"
PLATE_ENDS: Final = (0x6302, 0x5B66, 0x8B66, 0x6E2F, 0x6FB3, 0x9886)  # 挂学警港澳领
PLATE_SEPARATORS: Final = (0xB7, 0x2022, 0x30FB, DOT, BLANK, HYPHEN)


@njit(cache=True, nogil=True)
def _is_date(
    year: int,
    month: int,
    day: int,
) -> bool:
    return FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12 and 1 <= day <= DAYS[month]


@njit(cache=True, nogil=True)
def is_identity(
    digits: Digits,
    count: int,
    ends_in_x: bool,
) -> Any:
    """Return whether 18 digits, or 17 and an X, are a resident identity number."""
    if count + ends_in_x != 18 or not REGIONS[value_of(digits, 0, 2)]:
        return False
    if not _is_date(value_of(digits, 6, 10), value_of(digits, 10, 12), value_of(digits, 12, 14)):
        return False
    total = np.int64(10 if ends_in_x else digits[17])
    for k in range(17):
        total += digits[k] * (2 ** (17 - k) % 11)
    return total % 11 == 1


@njit(cache=True, nogil=True)
def is_old_identity(
    digits: Digits,
    count: int,
) -> Any:
    """Return whether 15 digits can be an identity number as they were before 1999."""
    if count != 15 or not REGIONS[value_of(digits, 0, 2)]:
        return False
    return _is_date(1900 + value_of(digits, 6, 8), value_of(digits, 8, 10), value_of(digits, 10, 12))


@njit(cache=True, nogil=True)
def _has_issuer(
    digits: Digits,
    count: int,
) -> bool:
    """Return whether the first digits are those of an issuer whose cards have `count` digits."""
    four = value_of(digits, 0, 4)
    two = four // 100
    unionpay = (two == 62 or four == 9558 or four == 6011) and count >= 16
    discover = (two == 65 or 644 <= four // 10 <= 649) and count >= 16
    visa = digits[0] == 4 and (count == 13 or count == 16 or count == 19)
    mastercard = (51 <= two <= 55 or 2221 <= four <= 2720) and count == 16
    jcb = 3528 <= four <= 3589 and count >= 16
    amex = (two == 34 or two == 37) and count == 15
    diners = (300 <= four // 10 <= 305 or two == 36 or two == 38) and count == 14
    return unionpay or discover or visa or mastercard or jcb or amex or diners


@njit(cache=True, nogil=True)
def is_bank_card(
    digits: Digits,
    count: int,
    sizes: Ints,
    groups: int,
) -> bool:
    """Return whether the groups, one or as printed on cards, are a card's number."""
    if count < 13 or count > 19 or not _has_issuer(digits, count):
        return False
    printed = groups == 3 and sizes[0] == 4 and sizes[1] == 6
    if groups > 1 and not printed:
        for k in range(groups - 1):
            if sizes[k] != 4:
                return False
    total = np.int64(0)
    for k in range(count):
        digit = digits[count - 1 - k] * (1 + k % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0 and not is_round(digits, count)


@njit(cache=True, nogil=True)
def _plate_letter(
    c: Any,
) -> Any:
    """Return whether `c` is a letter of licence plates, which have no I and no O."""
    return 65 <= c <= 90 and c != 73 and c != 79


@njit(cache=True, nogil=True)
def plate_at(
    text: Points,
    i: int,
) -> Any:
    """Look for a licence plate after the name of a province at `i`; return start, end and kind, or NONE."""
    if i + 6 >= len(text) or not _plate_letter(text[i + 1]):
        return i, i, NONE
    j = i + 2
    if text[j] in PLATE_SEPARATORS:
        j += 1
    start = j
    decimals = 0
    while j < len(text) and j - start < 7 and (is_digit(text[j]) or _plate_letter(text[j])):
        decimals += is_digit(text[j])
        j += 1
    size = j - start
    if size == 4 and decimals >= 3 and j < len(text) and text[j] in PLATE_ENDS:
        return i, j + 1, PLATE
    green = (
        size == 6
        and decimals >= 4
        and not is_digit(text[start])
        and is_digit(text[j - 1])
        and text[start] <= 75
    )
    green |= size == 6 and decimals == 5 and not is_digit(text[j - 1]) and text[j - 1] <= 75
    if not ((size == 5 and decimals >= 3) or green) or not free_after(text, j):
        return i, i, NONE
    return i, j, PLATE

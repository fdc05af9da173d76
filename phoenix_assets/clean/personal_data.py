"""Personal data, found and masked: a placeholder stands for what was there, and the counts say how often.

One pass over the characters. A digit, `+`, `@`, `:`, an opening parenthesis or the name of a province may begin or be
part of something; what is there is decided by its own rule: `personal_numbers`, `phone_numbers`, `network_addresses`.
Mathematics and addresses of pages stay as they are, and so does code unless the configuration says otherwise.
Masking masked text changes nothing.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Codepoints, Ints, Points, codepoints
from phoenix_assets.clean.characters import UNICODE_SIZE
from phoenix_assets.clean.config import Masking
from phoenix_assets.clean.network_addresses import email_at, ipv6_at, is_ipv4, word_hash
from phoenix_assets.clean.normalize import texts
from phoenix_assets.clean.personal_candidates import (
    AT,
    CARD,
    COLON,
    DOT,
    FOREIGN,
    HYPHEN,
    IDENTITY,
    IP,
    KINDS,
    LANDLINE,
    MOBILE,
    MOST_DIGITS,
    MOST_GROUPS,
    NONE,
    OLD_IDENTITY,
    OPENING,
    PLUS,
    free_after,
    free_before,
    is_digit,
    read_groups,
)
from phoenix_assets.clean.personal_numbers import (
    PROVINCES,
    is_bank_card,
    is_identity,
    is_old_identity,
    plate_at,
)
from phoenix_assets.clean.phone_numbers import (
    international_phone,
    is_landline,
    is_mobile,
    is_north_american,
    parenthesised_phone,
    with_extension,
)
from phoenix_assets.clean.regions import CODE, PROSE, regions

KERNEL_VERSION: Final = "1"

EXAMPLE_DOMAINS: Final = ("example", "test", "invalid", "localhost")  # RFC 2606
SHORTEST: Final = 5  # characters of what is masked
WIDE: Final = 0xFEE0


@dataclass(frozen=True)
class Masked:
    """Masked texts, and how often each kind was masked in each: a row a text, a column a kind of `KINDS`."""

    texts: pl.Series
    counts: Ints


def mask_personal_data(text: pl.Series, config: Masking) -> Masked:
    """Mask the personal data of each text of a String column. Nulls stay null."""
    points = codepoints(text)
    kinds = regions(points)
    open_to = (kinds == PROSE) | ((kinds == CODE) & config.in_code)
    most = len(points.values) // SHORTEST + 1
    start, end = np.empty((2, most), np.int64)
    kind, row = np.empty((2, most), np.int64)
    wanted = np.array([name in config.kinds for name in KINDS])
    endings = config.not_mail_domains + (EXAMPLE_DOMAINS if config.public_only else ())
    rules = (wanted, config.public_only, config.version_parts_below, np.sort(np.array(_word_hashes(endings))))
    found = _find(points.offsets, points.values, open_to, _triggers(), rules, row, start, end, kind)
    counts = np.bincount(row[:found] * len(KINDS) + kind[:found], minlength=len(points) * len(KINDS))
    counts = counts.reshape(len(points), len(KINDS))
    if not found:
        return Masked(text, counts)
    masked = _replaced(points, row[:found], start[:found], end[:found], kind[:found], config)
    hit = pl.Series(counts.any(axis=1))
    return Masked(
        pl.select(pl.when(hit).then(texts(masked, "")).otherwise(text).alias(text.name)).to_series(), counts
    )


def _replaced(
    points: Codepoints, row: Ints, start: Ints, end: Ints, kind: Ints, config: Masking
) -> Codepoints:
    masks = codepoints(pl.Series([config.masks.get(name, "") for name in KINDS], dtype=pl.String))
    longer = np.diff(masks.offsets)[kind] - (end - start)
    offsets = points.offsets + np.concatenate([[0], np.cumsum(np.bincount(row, longer, len(points)))]).astype(
        np.int64
    )
    values = np.empty(int(offsets[-1]), np.uint32)
    _replace(points.values, start, end, kind, masks.offsets, masks.values, values)
    return Codepoints(offsets, values)


@cache
def _triggers() -> Bytes:
    """Return 1 for characters that may begin or be part of personal data, 2 for those that begin a plate."""
    table = np.zeros(UNICODE_SIZE, np.uint8)
    table[[*range(48, 58), PLUS, AT, COLON, OPENING, OPENING + WIDE]] = 1
    table[[ord(province) for province in PROVINCES]] = 2
    table.setflags(write=False)
    return table


def _word_hashes(words: tuple[str, ...]) -> list[int]:
    points = [np.array([ord(c) for c in word], np.uint32) for word in words]
    return [int(word_hash(word, 0, len(word))) for word in points] or [0]


@njit(cache=True, nogil=True)
def _find(
    offsets: Ints,
    values: Points,
    open_to: Any,
    triggers: Bytes,
    rules: Any,
    row: Ints,
    start: Ints,
    end: Ints,
    kind: Ints,
) -> Any:
    """Write where what of which kind is in which text; return how many were found."""
    wanted = rules[0]
    digits, sizes = np.zeros(MOST_DIGITS, np.int64), np.zeros(MOST_GROUPS, np.int64)
    ends = np.zeros(MOST_GROUPS, np.int64)
    found = 0
    for text_row in range(len(offsets) - 1):
        text = values[offsets[text_row] : offsets[text_row + 1]]
        base = offsets[text_row]
        i = np.int64(0)  # int64, no literal: numba would compile twice what is called with it
        after = np.int64(0)  # the end of what was found last
        while i < len(text):
            trigger = triggers[text[i]]
            if trigger == 0 or not open_to[base + i]:
                i += 1
                continue
            if trigger == 2:
                first, last, what = plate_at(text, i)
            else:
                first, last, what = _other(text, i, after, rules, digits, sizes, ends)
            if what >= 0 and wanted[what]:
                row[found] = text_row
                start[found] = base + first
                end[found] = base + last
                kind[found] = what
                found += 1
                after = last
            i = max(last, i + 1)
    return found


@njit(cache=True, nogil=True)
def _other(
    text: Points,
    i: int,
    after: int,
    rules: Any,
    digits: Any,
    sizes: Ints,
    ends: Ints,
) -> Any:
    """Return start, end and kind of what is at `i`; without any, where to look on, and NONE."""
    wanted, public_only, version_parts_below, endings = rules
    c = text[i]
    if c == AT:
        return email_at(text, i, after, endings)
    if c == COLON:
        return ipv6_at(text, i, after, public_only)
    if c == PLUS:
        return international_phone(text, i, digits)
    if c == OPENING or c == OPENING + WIDE:
        return parenthesised_phone(text, i, digits, sizes, ends)
    return _number(text, i, (wanted, public_only, version_parts_below), digits, sizes, ends)


@njit(cache=True, nogil=True)
def _number(
    text: Points,
    i: int,
    rules: Any,
    digits: Any,
    sizes: Ints,
    ends: Ints,
) -> tuple[int, int, int]:
    """Look for a number whose first group of digits begins at `i`, the one with the most groups first."""
    groups = read_groups(text, i, digits, sizes, ends)
    run = i
    while run < len(text) and is_digit(text[run]):
        run += 1
    if groups == 0 or not free_before(text, i):
        return i, run, NONE
    for number in range(groups, 0, -1):
        count = np.int64(0)
        for k in range(number):
            count += sizes[k]
        last = ends[number - 1]
        ends_in_x = count == 17 and last < len(text) and (text[last] | 32) == 0x78
        last += ends_in_x
        what = _kind_of_number(text, i, digits, count, sizes, number, ends_in_x, rules)
        if what == NONE:
            continue
        if what == LANDLINE:
            last = with_extension(text, last)
        if free_after(text, last):
            return i, last, what
    return i, run, NONE


@njit(cache=True, nogil=True)
def _kind_of_number(
    text: Points,
    start: int,
    digits: Any,
    count: int,
    sizes: Ints,
    groups: int,
    ends_in_x: bool,
    rules: Any,
) -> int:
    """Return the first wanted kind whose rule the groups satisfy, or NONE."""
    wanted, public_only, version_parts_below = rules
    dots = 0
    position = start
    for k in range(groups - 1):
        position += sizes[k]
        dots += text[position] == DOT
        position += 1
    if dots > 0:
        if wanted[IP] and dots == 3 and is_ipv4(digits, sizes, groups, version_parts_below, public_only):
            return IP
        return (
            FOREIGN
            if wanted[FOREIGN] and dots == 2 and is_north_american(digits, count, sizes, groups)
            else NONE
        )
    whole = groups == 1 or (groups == 3 and sizes[0] == 6 and sizes[1] == 8)
    if wanted[IDENTITY] and whole and is_identity(digits, count, ends_in_x):
        return IDENTITY
    if ends_in_x:
        return NONE
    if wanted[OLD_IDENTITY] and groups == 1 and is_old_identity(digits, count):
        return OLD_IDENTITY
    if wanted[MOBILE] and is_mobile(digits, count, sizes, groups):
        return MOBILE
    if wanted[CARD] and is_bank_card(digits, count, sizes, groups):
        return CARD
    if wanted[LANDLINE] and is_landline(digits, count, sizes, groups):
        return LANDLINE
    by_hyphens = groups > 1 and text[start + count + groups - 2 - sizes[groups - 1]] == HYPHEN
    if wanted[FOREIGN] and by_hyphens and is_north_american(digits, count, sizes, groups):
        return FOREIGN
    return NONE


@njit(cache=True, nogil=True)
def _replace(
    in_values: Points,
    start: Ints,
    end: Ints,
    kind: Ints,
    mask_offsets: Ints,
    masks: Points,
    values: Points,
) -> None:
    read = used = 0
    for k in range(len(start)):
        size = start[k] - read
        values[used : used + size] = in_values[read : start[k]]
        used += size
        for i in range(mask_offsets[kind[k]], mask_offsets[kind[k] + 1]):
            values[used] = masks[i]
            used += 1
        read = end[k]
    values[used:] = in_values[read:]

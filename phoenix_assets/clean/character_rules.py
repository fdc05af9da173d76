"""Rules over characters and lines: the share of special characters, the share of short lines."""

from typing import Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Floats, Ints, Points
from phoenix_assets.clean.characters import (
    CLASS_SHIFT,
    LETTERS,
    LINE_END,
    SPECIAL,
    WHITE,
    trait_memory,
    traits_of,
)

KERNEL_VERSION: Final = "1"

LINE_END_TRAITS: Final = (SPECIAL | WHITE) << CLASS_SHIFT | LINE_END


def character_statistics(texts: Codepoints, short_line_characters: int) -> pl.DataFrame:
    """Count characters and lines.

    Returns one row a text: `characters` Int64; `special_characters` Float64, special characters over all characters;
    `short_lines` Float64, lines with fewer than `short_line_characters` characters over all lines. A line is measured
    as words are, without the special characters at its ends; one without a visible character is no line. An empty
    text has 0.0 for both shares.
    """
    special, short = np.zeros((2, len(texts)), np.float64)
    memory = trait_memory(texts.longest)
    _character_statistics(texts.offsets, texts.values, memory, short_line_characters, special, short)
    return pl.DataFrame(
        {"characters": np.diff(texts.offsets), "special_characters": special, "short_lines": short}
    )


@njit(cache=True, nogil=True)
def _character_statistics(
    offsets: Ints,
    values: Points,
    memory: tuple[Points, Points],
    short_length: int,
    special: Floats,
    short: Floats,
) -> None:
    for text in range(len(offsets) - 1):
        traits = traits_of(values[offsets[text] : offsets[text + 1]], memory)
        special[text], short[text] = special_share(traits), short_line_share(traits, short_length)


@njit(cache=True, nogil=True)
def special_share(
    traits: Points,
) -> float:
    """Return the share of special characters of a text with these `traits`."""
    count = np.uint32(0)
    for i in range(np.uint64(len(traits))):
        count += (traits[i] >> np.uint32(CLASS_SHIFT)) & np.uint32(SPECIAL)
    return count / len(traits) if len(traits) > 0 else 0.0


@njit(cache=True, nogil=True)
def short_line_share(
    traits: Points,
    short_length: int,
) -> float:
    """Return the share of short lines of a text with these `traits`."""
    lines = short_lines = start = 0
    for i in range(np.uint64(len(traits))):
        if traits[i] == LINE_END_TRAITS:
            length = _line_length(traits[start:i])
            lines += length >= 0
            short_lines += 0 <= length < short_length
            start = i + 1
    length = _line_length(traits[start:])
    lines += length >= 0
    short_lines += 0 <= length < short_length
    return short_lines / lines if lines > 0 else 0.0


@njit(cache=True, nogil=True)
def _line_length(
    line: Points,
) -> int:
    """Return the characters from the first letter to the last, 0 without a letter, -1 for a line of white space."""
    end = len(line)
    while end > 0 and line[end - 1] > LETTERS:
        end -= 1
    if end == 0:
        for traits in line:
            if traits >> CLASS_SHIFT == SPECIAL:
                return 0
        return -1
    start = 0
    while line[start] > LETTERS:
        start += 1
    return end - start

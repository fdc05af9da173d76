"""Rules of source code: abnormal and foreign characters, line lengths, alphanumeric share, base64.

- *Abnormal* characters are replacement characters, private use and non-characters: signs of a broken decoding.
- *Foreign* characters are letters that are neither Chinese nor English.
- Line lengths and the alphanumeric share are StarCoder's (Li et al. 2023, section 3.1: a line over 1000 characters, 100
  on average, under 25 % alphanumeric).
- *base64* is a run of its alphabet with upper case, lower case and digits in it, over line ends where the lines are
  full (StarCoder2, Lozhkov et al. 2024, section 3.1: over 1024 characters, or half of the file). A text whose longest
  line is shorter than the shortest run has none, and is not searched.
"""

import unicodedata
from functools import cache
from typing import Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Codepoints, Floats, Ints, Points
from phoenix_assets.clean.characters import LINE_END, UNICODE_SIZE, character_table
from phoenix_assets.clean.normalize import ABNORMAL

KERNEL_VERSION: Final = "1"

LETTERS_OF_CHINESE: Final = (
    "2E80-2FDF 3005-3007 3100-312F 31A0-31BF 3400-4DBF 4E00-9FFF F900-FAFF FF10-FF5A 20000-323AF"
)
SIGNS: Final = "AA B5 BA 2100-214F"  # letters by category, used as units and marks
LAST_LETTER: Final = 0x323B0
FULL_LINE: Final = 60  # characters of a base64 line that goes on in the next one; encoders write 60, 64 or 76

IS_ABNORMAL, IS_FOREIGN, UPPER, LOWER, DIGIT, BASE64 = 1, 2, 4, 8, 16, 32
COLUMNS: Final = (
    "abnormal_characters", "foreign_characters", "max_line_length", "avg_line_length", "alphanumeric_characters",
    "base64", "base64_run",
)  # fmt: skip


def code_rules(texts: Codepoints, encoded_characters: int) -> pl.DataFrame:
    """Compute the rules of code.

    Returns one row a text, Float64: `abnormal_characters`, `foreign_characters`, `alphanumeric_characters` and `base64`,
    shares of all characters; `max_line_length`, `avg_line_length` and `base64_run`, the longest one, in characters. Runs
    of base64 have at least `encoded_characters`. An empty text has 0.0 everywhere.
    """
    values = np.zeros((len(COLUMNS), len(texts)), np.float64)
    _code_rules(texts.offsets, texts.values, _classes(), encoded_characters, values)
    return pl.DataFrame([pl.Series(name, row) for name, row in zip(COLUMNS, values, strict=True)])


@cache
def _classes() -> Bytes:
    classes = np.zeros(UNICODE_SIZE, np.uint8)
    classes[[c for c in range(128, LAST_LETTER) if unicodedata.category(chr(c))[0] in "LM"]] = IS_FOREIGN
    for ranges in (LETTERS_OF_CHINESE, SIGNS):
        classes[character_table(ranges)] = 0
    classes[character_table(ABNORMAL)] = IS_ABNORMAL
    for kind, ranges in ((UPPER, "41-5A"), (LOWER, "61-7A"), (DIGIT, "30-39"), (0, "2B 2F 3D")):
        classes[character_table(ranges)] = kind | BASE64
    classes.setflags(write=False)
    return classes


@njit(cache=True, nogil=True)
def _code_rules(
    offsets: Ints,
    values: Points,
    classes: Bytes,
    shortest: int,
    results: Floats,
) -> None:
    for row in range(len(offsets) - 1):
        text = values[offsets[row] : offsets[row + 1]]
        if len(text) == 0:
            continue
        abnormal = foreign = alphanumeric = longest = start = 0
        lines = 1
        for i in range(len(text)):
            kind = classes[text[i]]
            abnormal += kind & IS_ABNORMAL != 0
            foreign += kind & IS_FOREIGN != 0
            alphanumeric += kind & (UPPER | LOWER | DIGIT) != 0
            if text[i] == LINE_END:
                longest = max(longest, i - start)
                start = i + 1
                lines += 1
        longest = max(longest, len(text) - start)
        encoded, run = (0, 0) if longest < min(shortest, FULL_LINE) else _base64(text, classes, shortest)
        results[0, row] = abnormal / len(text)
        results[1, row] = foreign / len(text)
        results[2, row] = longest
        results[3, row] = (len(text) - lines + 1) / lines
        results[4, row] = alphanumeric / len(text)
        results[5, row] = encoded / len(text)
        results[6, row] = run


@njit(cache=True, nogil=True)
def _base64(
    text: Points,
    classes: Bytes,
    shortest: int,
) -> tuple[int, int]:
    """Return how many characters are in runs of base64, and how many are in the longest one."""
    together = longest = 0
    mixed = UPPER | LOWER | DIGIT
    i = 0
    while i < len(text):
        start = line = i
        seen = np.uint8(0)
        while i < len(text):
            if classes[text[i]] & BASE64:
                seen |= classes[text[i]]
            elif not (text[i] == LINE_END and i - line >= FULL_LINE):
                break
            else:
                line = i + 1
            i += 1
        if i - start >= shortest and seen & mixed == mixed:
            together += i - start
            longest = max(longest, i - start)
        i += 1
    return together, longest

"""Normalisation: the same text, without what crawls and conversions left in it.

Each step is a kernel over code points and can be used alone; `normalize` runs those that a source's configuration
names, in one order, such that normalising twice changes nothing:

    line ends → invisible → unprintable → [traditional → simplified] → half width → abnormal words → spaces → punctuation

Steps remove or replace, they never look at other documents. Layout and punctuation of code stay. What a removed word
leaves behind is closed by the step that collapses spaces.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any, Final

import numpy as np
import opencc
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import (
    Bytes,
    Codepoints,
    Ints,
    Points,
    codepoints,
    column,
    rewritten,
    write_codepoint,
)
from phoenix_assets.clean.characters import LINE_END, UNICODE_SIZE, character_table
from phoenix_assets.clean.config import NormalizeConfig
from phoenix_assets.clean.punctuation import unify_punctuation
from phoenix_assets.clean.regions import SPACE
from phoenix_assets.clean.spacing import collapsed

KERNEL_VERSION: Final = "2"

# Code points in hexadecimal, "first-last" or single. Invisible: zero width space, word joiner, byte order mark, soft
# hyphen, Mongolian separator, direction marks. The zero width (non-)joiners stay: Persian, Indic scripts and emoji
# spell with them.
INVISIBLE: Final = "AD 180E 200B 200E-200F 202A-202E 2060-2064 2066-206F FEFF"
UNPRINTABLE: Final = "0-8 B-1F 7F-9F"  # ASCII and C1 control characters but tab and newline
LINE_ENDS: Final = "D 85 2028-2029"
SPACES: Final = "A0 1680 2000-200A 202F 205F 3000"
FULLWIDTH: Final = "FF10-FF19 FF21-FF3A FF41-FF5A"
TO_FULLWIDTH: Final = 0xFEE0

# Replacement characters, private use and non-characters.
ABNORMAL: Final = "E000-F8FF FDD0-FDEF FFFD-FFFF F0000-10FFFF"
WORD: Final = (
    "30-39 41-5A 61-7A AA BA C0-D6 D8-F6 F8-2B8 1E00-1EFF 2C60-2C7F A722-A7CA FF10-FF19 FF21-FF3A FF41-FF5A"
)
RUN: Final = "22-27 2A-2B 2D 2F-39 3C-3E 40-7E"  # printable ASCII but , ; : ! ? . ( )

PART_BYTES: Final = 1 << 20
DROP: Final = np.uint32(0xFFFFFFFF)
IN_WORD, IS_ABNORMAL, IN_RUN = 1, 2, 4


def normalize(text: pl.Series, config: NormalizeConfig) -> pl.Series:
    """Return the String column `text` normalised as `config` says. Nulls stay null; running it twice changes nothing."""
    parts = [_normalized(part, _steps(config)) for part in _parts(text)]
    return pl.concat([text.clear(), *parts])


def _parts(text: pl.Series) -> Iterator[pl.Series]:
    """Cut a column into parts of about PART_BYTES, which a near cache holds from step to step."""
    sizes = text.str.len_bytes().fill_null(0).cast(pl.Int64).cum_sum().to_numpy()
    start = 0
    while start < len(text):
        before = sizes[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(sizes, before + PART_BYTES, side="right")))
        yield text[start:end]
        start = end


def _normalized(text: pl.Series, steps: Iterable[Callable[[Codepoints], Codepoints]]) -> pl.Series:
    points = codepoints(text)
    for step in steps:
        points = step(points)
    normalized = texts(points, text.name)
    if not text.null_count():
        return normalized
    return pl.select(pl.when(text.is_not_null()).then(normalized)).to_series().alias(text.name)


def _steps(config: NormalizeConfig) -> list[Callable[[Codepoints], Codepoints]]:
    simplify = config.traditional_to_simplified
    steps: dict[Callable[[Codepoints], Codepoints], bool] = {
        unify_line_ends: config.unify_line_ends,
        remove_invisible: config.remove_invisible,
        remove_unprintable: config.remove_unprintable,
        traditional_to_simplified: simplify,
        halfwidth_alphanumerics: config.halfwidth_alphanumerics,
        partial(remove_abnormal_words, max_word_length=config.max_word_length): config.remove_abnormal_words,
        partial(collapse_spaces, keep_layout=config.keep_layout): config.collapse_spaces,
        unify_punctuation: config.unify_punctuation,
    }
    return [step for step, wanted in steps.items() if wanted]


def texts(points: Codepoints, name: str) -> pl.Series:
    """Return the code points as a String column."""
    offsets, data = np.zeros_like(points.offsets), np.empty(4 * len(points.values), np.uint8)
    used = _encode(points.offsets, points.values, offsets, data)
    return column(name, offsets, data[:used])


def unify_line_ends(points: Codepoints) -> Codepoints:
    r"""End every line with `\n`, whatever the file was written with."""
    return _mapped(points, _table(LINE_ENDS, LINE_END))


def remove_invisible(points: Codepoints) -> Codepoints:
    """Remove characters without width: byte order marks, zero width spaces, soft hyphens, direction marks."""
    return _mapped(points, _table(INVISIBLE, None))


def remove_unprintable(points: Codepoints) -> Codepoints:
    """Remove ASCII and C1 control characters but newline and tab."""
    return _mapped(points, _table(UNPRINTABLE, None))


def traditional_to_simplified(points: Codepoints) -> Codepoints:
    """Convert traditional to simplified Chinese (OpenCC t2s, one native call a text)."""
    converter = opencc.OpenCC("t2s")
    return codepoints(texts(points, "text").map_elements(converter.convert, return_dtype=pl.String))


def halfwidth_alphanumerics(points: Codepoints) -> Codepoints:
    """Write full-width digits and Latin letters as ASCII."""
    table = _table("", None).copy()
    wide = character_table(FULLWIDTH).nonzero()[0]
    table[wide] = wide - TO_FULLWIDTH
    return _mapped(points, table)


def remove_abnormal_words(points: Codepoints, *, max_word_length: int) -> Codepoints:
    """Remove words with abnormal characters, and runs of more than `max_word_length` printable ASCII characters.

    A word is made of Latin letters, digits and abnormal characters. Sentence marks and parentheses end a run, so that
    unifying punctuation never makes one longer.
    """
    classes = _word_classes()
    whole = _without(points, classes, IN_WORD, 0)
    return _without(whole, classes, IN_RUN, max_word_length)


def collapse_spaces(points: Codepoints, *, keep_layout: bool) -> Codepoints:
    """Collapse runs of spaces to one space and of blank lines to one blank line; strip lines and text.

    In fenced code, or everywhere with `keep_layout`, indentation and inner spaces stay; with `keep_layout` two blank
    lines may follow each other.
    """
    plain = _mapped(points, _table(SPACES, SPACE))
    return collapsed(plain, keep_layout)


@cache
def _table(ranges: str, becomes: int | None) -> Points:
    """Return what each code point becomes where those of `ranges` become `becomes` or, if that is None, go."""
    table = np.arange(UNICODE_SIZE, dtype=np.uint32)
    if ranges:
        table[character_table(ranges)] = DROP if becomes is None else becomes
    table.setflags(write=False)
    return table


@cache
def _word_classes() -> Bytes:
    classes = np.zeros(UNICODE_SIZE, np.uint8)
    for kind, ranges in ((IN_WORD, WORD), (IN_WORD | IS_ABNORMAL, ABNORMAL), (IN_RUN, RUN)):
        classes[character_table(ranges)] |= np.uint8(kind)
    classes.setflags(write=False)
    return classes


def _mapped(points: Codepoints, table: Points) -> Codepoints:
    return rewritten(points, _map, table)


def _without(points: Codepoints, classes: Bytes, kind: int, longest: int) -> Codepoints:
    return rewritten(points, _drop_runs, classes, kind, longest)


@njit(cache=True, nogil=True)
def _encode(
    in_offsets: Ints,
    values: Points,
    offsets: Ints,
    data: Bytes,
) -> Any:
    used = np.int64(0)
    for row in range(len(in_offsets) - 1):
        offsets[row] = used
        for i in range(in_offsets[row], in_offsets[row + 1]):
            c = values[i]
            if c < 0x80:
                data[used] = c
                used += 1
            else:
                used = write_codepoint(np.int64(c), data, used)
    offsets[len(in_offsets) - 1] = used
    return used


@njit(cache=True, nogil=True)
def _map(
    in_offsets: Ints,
    in_values: Points,
    table: Points,
    offsets: Ints,
    values: Points,
) -> Any:
    used = np.uint64(0)
    carriage_return, joins = np.uint32(13), table[13] == LINE_END
    for row in range(len(in_offsets) - 1):
        offsets[row] = used
        before = np.uint32(0)
        for i in range(np.uint64(in_offsets[row]), np.uint64(in_offsets[row + 1])):
            c = in_values[i]
            mapped = table[c]
            values[used] = mapped
            used += np.uint64(mapped != DROP and not (joins and c == LINE_END and before == carriage_return))
            before = c
    offsets[len(in_offsets) - 1] = used
    return np.int64(used)


@njit(cache=True, nogil=True)
def _drop_runs(
    in_offsets: Ints,
    in_values: Points,
    classes: Bytes,
    kind: int,
    longest: int,
    offsets: Ints,
    values: Points,
) -> Any:
    """Drop runs of the class `kind`: those longer than `longest` or, if that is 0, with an abnormal character."""
    used = np.int64(0)
    for row in range(len(in_offsets) - 1):
        offsets[row] = used
        end = in_offsets[row + 1]
        i = in_offsets[row]
        while i < end:
            start = i
            seen = np.uint8(0)
            while i < end and classes[in_values[i]] & kind:
                seen |= classes[in_values[i]]
                values[used + i - start] = in_values[i]
                i += 1
            drops = i - start > longest if longest > 0 else seen & IS_ABNORMAL != 0
            used += 0 if drops else i - start
            if i < end:
                values[used] = in_values[i]
                used += 1
                i += 1
    offsets[len(in_offsets) - 1] = used
    return used

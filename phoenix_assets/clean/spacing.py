"""Runs of spaces and blank lines, collapsed line by line; fenced code keeps its own."""

from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Ints, Points, rewritten
from phoenix_assets.clean.characters import LINE_END
from phoenix_assets.clean.regions import SPACE, TAB, fence_at, fenced_until

KERNEL_VERSION: Final = "1"


def collapsed(points: Codepoints, keep_layout: bool) -> Codepoints:
    """Return the texts with runs of spaces and tabs, and of blank lines, collapsed as `collapse_spaces` says."""
    return rewritten(points, _collapse, keep_layout)


@njit(cache=True, nogil=True)
def _collapse(
    in_offsets: Ints,
    in_values: Points,
    keep_layout: bool,
    offsets: Ints,
    values: Points,
) -> Any:
    used = np.int64(0)
    for row in range(len(in_offsets) - 1):
        offsets[row] = used
        used += _collapse_text(in_values[in_offsets[row] : in_offsets[row + 1]], keep_layout, values[used:])
    offsets[len(in_offsets) - 1] = used
    return used


@njit(cache=True, nogil=True)
def _collapse_text(
    text: Points,
    keep_layout: bool,
    out: Points,
) -> int:
    """Write the text with its spaces collapsed to `out`; return its length."""
    used = 0
    blank_lines = 0
    code_until = 0
    unclosed = 0
    i = np.int64(0)  # int64, no literal: numba would compile twice what is called with it
    while i <= len(text):
        fence = fence_at(text, i) if i >= code_until and not keep_layout else 0
        if fence > 0 and fence != unclosed:
            end = fenced_until(text, i, fence)
            unclosed = fence if end == i else unclosed
            code_until = end + 1 if end > i else code_until
        before = used
        newlines = 0 if used == 0 else 1 + min(blank_lines, 2 if keep_layout else 1)
        if i < code_until and used > 0:
            newlines = 1 + blank_lines
        i, used = _write_line(text, i, keep_layout or i < code_until, out, used + newlines)
        if used == before + newlines:
            used = before
            blank_lines += 1
            continue
        out[before : before + newlines] = LINE_END
        blank_lines = 0
    return used


@njit(cache=True, nogil=True)
def _write_line(
    text: Points,
    i: int,
    as_it_is: bool,
    out: Points,
    used: int,
) -> tuple[int, int]:
    """Write the line that starts at `i` without spaces at its end; return where the next starts and where `out` ends.

    Fewer characters are written than were read before, so `out` has room for what is not yet decided.
    """
    waiting = 0
    start = used
    while i < len(text) and text[i] != LINE_END:
        c = text[i]
        if c in (SPACE, TAB):
            waiting += 1
        else:
            if as_it_is:
                for k in range(waiting):
                    out[used + k] = text[i - waiting + k]
                used += waiting
            elif waiting > 0 and used > start:
                out[used] = SPACE
                used += 1
            waiting = 0
            out[used] = c
            used += 1
        i += 1
    return i + 1, used

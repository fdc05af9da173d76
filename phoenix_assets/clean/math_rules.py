r"""Rules of mathematical text: formulas are kept, garbled ones are found by what does not close.

Within a paragraph (between blank lines) dollars come in pairs, and so do `\( \)`, `\[ \]`, braces, `\begin` and `\end`.
What an extraction cut or lost leaves some of them single.
"""

from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import Codepoints, Floats, Ints, Points
from phoenix_assets.clean.characters import LINE_END

KERNEL_VERSION: Final = "1"

BACKSLASH, DOLLAR = 0x5C, 0x24
OPENING, CLOSING = (0x28, 0x5B, 0x7B), (0x29, 0x5D, 0x7D)
BEGIN, END = (np.array([ord(c) for c in word], np.uint32) for word in ("begin{", "end{"))
BRACES: Final = 2  # the kind of pair that no backslash opens


def unbalanced_math(texts: Codepoints) -> pl.Series:
    """Return per text which share of its formulas' delimiters has no counterpart, Float64; 0.0 without delimiters."""
    shares = np.zeros(len(texts), np.float64)
    _unbalanced(texts.offsets, texts.values, shares)
    return pl.Series("unbalanced_math", shares)


@njit(cache=True, nogil=True)
def _unbalanced(
    offsets: Ints,
    values: Points,
    shares: Floats,
) -> None:
    for row in range(len(offsets) - 1):
        text = values[offsets[row] : offsets[row + 1]]
        single = total = start = 0
        for i in range(len(text) + 1):
            if i == len(text) or (text[i] == LINE_END and i + 1 < len(text) and text[i + 1] == LINE_END):
                alone, delimiters = _paragraph(text[start:i])
                single += alone
                total += delimiters
                start = i
        shares[row] = single / total if total > 0 else 0.0


@njit(cache=True, nogil=True)
def _paragraph(
    text: Points,
) -> tuple[int, int]:
    """Return how many delimiters have no counterpart, and how many there are."""
    open_now = np.zeros(4, np.int64)  # of \( \), \[ \], { } and \begin \end
    dollars = single = total = 0
    i = 0
    while i < len(text):
        escaped = text[i] == BACKSLASH
        i += escaped
        if i >= len(text):
            break
        pair, step = _delimiter(text, i, escaped)
        dollars += text[i] == DOLLAR and not escaped
        total += pair >= 0
        if step < 0 and open_now[pair] == 0:
            single += 1
        elif pair >= 0:
            open_now[pair] += step
        i += 1
    return single + open_now.sum() + dollars % 2, total + dollars


@njit(cache=True, nogil=True)
def _delimiter(
    text: Points,
    i: int,
    escaped: bool,
) -> tuple[int, Any]:
    """Return which pair the character at `i` belongs to, -1 for none, and 1 where it opens, -1 where it closes."""
    for kind in range(3):
        if escaped != (kind == BRACES):
            if text[i] == OPENING[kind]:
                return kind, 1
            if text[i] == CLOSING[kind]:
                return kind, -1
    if escaped and _reads(text, i, END):
        return 3, -1
    return (3, 1) if escaped and _reads(text, i, BEGIN) else (-1, 0)


@njit(cache=True, nogil=True)
def _reads(
    text: Points,
    i: int,
    word: Points,
) -> bool:
    """Return whether `word` stands at `i`."""
    if i + len(word) > len(text):
        return False
    same = True
    for k in range(len(word)):
        same &= text[i + k] == word[k]
    return same

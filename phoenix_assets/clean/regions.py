r"""Which characters of a text are prose, and which are code, mathematics or part of an address.

- Code: fenced blocks that are closed (``` or ~~~), indented lines (a tab or four spaces), `inline code`.
- Mathematics, closed: `\( \)`, `\[ \]`, `$$ $$`, and `$ $` on one line as Pandoc reads it (no space inside the dollars,
  no digit after them) without Chinese letters, unless TeX commands stand among them.
- Addresses: from `http://`, `https://`, `ftp://` or `www.` to the next character that no URL has.

Rules that rewrite prose leave the rest as it is.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Codepoints, Flags, Ints, Points
from phoenix_assets.clean.characters import LINE_END, character_table

KERNEL_VERSION: Final = "1"

PROSE, CODE, MATH, ADDRESS = 0, 1, 2, 3
HAN: Final = "3005-3007 3400-4DBF 4E00-9FFF F900-FAFF 20000-323AF"
URL_CHARACTERS: Final = "21 23-26 28-3B 3D 3F-5B 5D 5F 61-7A 7E"  # not " ' < > \ ^ ` { | }
FORMULA: Final = 2000  # characters; what closes a formula is not looked for beyond them

BACKTICK: Final = ord("`")
TILDE: Final = ord("~")
DOLLAR: Final = ord("$")
BACKSLASH: Final = ord("\\")
SPACE: Final = ord(" ")
TAB: Final = ord("\t")


def regions(texts: Codepoints) -> Bytes:
    """Return for each character of `texts.values` whether it is PROSE, CODE, MATH or part of an ADDRESS."""
    kinds = np.zeros(len(texts.values), np.uint8)
    _mark_regions(texts.offsets, texts.values, character_table(HAN), character_table(URL_CHARACTERS), kinds)
    return kinds


@njit(cache=True, nogil=True)
def fence_at(
    text: Points,
    i: int,
) -> Any:
    """Return the character of which a fence at the line that starts at `i` is made, or 0 if there is none."""
    while i < len(text) and text[i] == SPACE:
        i += 1
    marked = i + 2 < len(text) and text[i] in (BACKTICK, TILDE)
    return np.int64(text[i]) if marked and text[i + 1] == text[i] and text[i + 2] == text[i] else 0


@njit(cache=True, nogil=True)
def line_end(
    text: Points,
    i: int,
) -> int:
    """Return where the line that `i` is in ends."""
    while i < len(text) and text[i] != LINE_END:
        i += 1
    return i


@njit(cache=True, nogil=True)
def fenced_until(
    text: Points,
    i: int,
    fence: int,
) -> Any:
    """Return where the block ends whose fence is at the line that starts at `i`; `i` if nothing closes it."""
    j = line_end(text, i) + 1
    while j < len(text):
        end = line_end(text, j)
        if fence_at(text, j) == fence:
            return end
        j = end + 1
    return i


@njit(cache=True, nogil=True)
def _is_indented(
    text: Points,
    i: int,
) -> Any:
    if text[i] == TAB:
        return True
    if i + 4 > len(text):
        return False
    return text[i] == SPACE and text[i + 1] == SPACE and text[i + 2] == SPACE and text[i + 3] == SPACE


@njit(cache=True, nogil=True)
def _inline_code(
    text: Points,
    i: int,
) -> int:
    """Return where the code ends that the backticks at `i` open on their line; `i` if nothing closes it."""
    opened = i
    while i < len(text) and text[i] == BACKTICK:
        i += 1
    ticks = i - opened
    run = 0
    while i <= len(text):
        if i < len(text) and text[i] == BACKTICK:
            run += 1
        elif run == ticks:
            return i
        else:
            run = 0
        if i == len(text) or text[i] == LINE_END:
            break
        i += 1
    return opened


@njit(cache=True, nogil=True)
def _dollars(
    text: Points,
    i: int,
    han: Flags,
) -> Any:
    """Return where the formula ends that the dollar at `i` opens on its line; `i` if it opens none."""
    start = i + 1
    if start >= len(text) or text[start] == SPACE or text[start] == LINE_END or text[start] == DOLLAR:
        return i
    tex = chinese = False
    j = start
    while j < len(text) and text[j] != LINE_END:
        if text[j] == BACKSLASH:
            tex = True
            j += 2
            continue
        if text[j] == DOLLAR:
            digit = j + 1 < len(text) and 48 <= text[j + 1] <= 57
            return j + 1 if text[j - 1] != SPACE and not digit and (tex or not chinese) else i
        chinese |= han[text[j]]
        j += 1
    return i


@njit(cache=True, nogil=True)
def _closed_by(
    text: Points,
    i: int,
    first: int,
    second: int,
) -> Any:
    """Return the end of the pair `first`, `second` that closes the formula opened at `i`; `i` if there is none."""
    for j in range(i + 2, min(len(text) - 1, i + FORMULA)):
        if text[j] == first and text[j + 1] == second:
            return j + 2
    return i


@njit(cache=True, nogil=True)
def _formula(
    text: Points,
    i: int,
    han: Flags,
) -> Any:
    """Return where the formula that begins at `i` ends; `i` if none begins."""
    after = text[i + 1] if i + 1 < len(text) else 0
    if text[i] == DOLLAR:
        return _closed_by(text, i, DOLLAR, DOLLAR) if after == DOLLAR else _dollars(text, i, han)
    if after == ord("("):
        return _closed_by(text, i, BACKSLASH, ord(")"))
    if after == ord("["):
        return _closed_by(text, i, BACKSLASH, ord("]"))
    return i


@njit(cache=True, nogil=True)
def _address(
    text: Points,
    i: int,
    url: Flags,
) -> int:
    """Return where the address that begins at `i` ends; `i` if none begins."""
    begins = False
    if i > 0 and (48 <= text[i - 1] <= 57 or 97 <= (text[i - 1] | 32) <= 122):
        return i
    for scheme in ("http://", "https://", "ftp://", "www."):
        if i + len(scheme) < len(text):
            same = True
            for k in range(len(scheme)):
                same &= (text[i + k] | 32) == (ord(scheme[k]) | 32)
            begins |= same
    end = i
    while begins and end < len(text) and url[text[end]]:
        end += 1
    # Marks at its end belong to the sentence.
    while end > i and (text[end - 1] in (33, 41, 44, 46, 58, 59, 63)):
        end -= 1
    return end


@njit(cache=True, nogil=True)
def _mark_regions(
    offsets: Ints,
    values: Points,
    han: Flags,
    url: Flags,
    kinds: Bytes,
) -> None:
    for row in range(len(offsets) - 1):
        text = values[offsets[row] : offsets[row + 1]]
        _mark_text(text, han, url, kinds[offsets[row] : offsets[row + 1]])


@njit(cache=True, nogil=True)
def _mark_text(
    text: Points,
    han: Flags,
    url: Flags,
    kinds: Any,
) -> None:
    i = np.int64(0)  # int64, no literal: numba would compile twice what is called with it
    unclosed = 0  # the fence that nothing closes any more
    while i < len(text):
        if (i == 0 or text[i - 1] == LINE_END) and text[i] != LINE_END:
            fence = fence_at(text, i)
            end = fenced_until(text, i, fence) if fence > 0 and fence != unclosed else i
            unclosed = fence if fence > 0 and end == i else unclosed
            if end == i and _is_indented(text, i):
                end = line_end(text, i)
            if end > i:
                kinds[i:end] = CODE
                i = end
                continue
        c = text[i]
        end = i
        kind = CODE
        if c == BACKTICK:
            end = _inline_code(text, i)
            if end == i:
                while i < len(text) and text[i] == BACKTICK:
                    i += 1
                continue
        elif c in (DOLLAR, BACKSLASH):
            end, kind = _formula(text, i, han), MATH
            # What a backslash stands before, or a second dollar, opens nothing.
            if end == i and i + 1 < len(text) and (c == BACKSLASH or text[i + 1] == DOLLAR):
                i += 1 + (text[i + 1] != LINE_END)
                continue
        elif c == 104 or c == 72 or c == 102 or c == 70 or c == 119 or c == 87:
            end, kind = _address(text, i, url), ADDRESS
        kinds[i:end] = kind
        i = max(end, i + 1)

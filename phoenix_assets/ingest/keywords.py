"""Find many keywords in one pass (Aho and Corasick 1975), for class names and ids of HTML elements.

Keywords are lower-case letters; `-` stands for a word boundary: a digit, punctuation, white space, either end, or
the place where camelCase goes up. `-ad-` finds `ad`, `top_ad` and `adBox`, not `head` or `adapter`.
"""

# ruff: noqa: ANN001, ANN201 - numba infers the types of its kernels

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

KERNEL_VERSION: Final = "1"

_SYMBOLS: Final = 27  # a boundary, and a to z

Automaton = tuple[npt.NDArray[np.int16], npt.NDArray[np.int64]]


def automaton(groups: Mapping[int, Iterable[str]]) -> Automaton:
    """Return the transitions (state x symbol) and the bits each state finds, for keywords grouped by their bit."""
    return _automaton(tuple((bit, tuple(words)) for bit, words in groups.items()))


@lru_cache(maxsize=8)
def _automaton(groups: tuple[tuple[int, tuple[str, ...]], ...]) -> Automaton:
    children: list[dict[int, int]] = [{}]
    found = [0]
    for bit, words in groups:
        for word in words:
            state = 0
            for symbol in (0 if letter == "-" else ord(letter) - 96 for letter in word):
                if symbol not in children[state]:
                    children[state][symbol] = len(children)
                    children.append({})
                    found.append(0)
                state = children[state][symbol]
            found[state] |= bit
    moves = np.zeros((len(children), _SYMBOLS), np.int16)
    fallback = [0] * len(children)
    queue = [0]
    for state in queue:
        for symbol in range(_SYMBOLS):
            other = moves[fallback[state], symbol] if state else 0
            if (child := children[state].get(symbol)) is None:
                moves[state, symbol] = other
                continue
            moves[state, symbol] = child
            fallback[child] = int(other)
            found[child] |= found[other]
            queue.append(child)
    return moves, np.array(found, np.int64)


@numba.njit(cache=True, nogil=True)
def keyword_bits(data, start, end, moves, found):  # type: ignore[no-untyped-def]
    """Return the bits of all keywords in `data[start:end]` (UTF-8)."""
    state = moves[0, 0]
    bits = np.int64(0)
    was_lower = False
    for at in range(start, end):
        byte = data[at]
        symbol = 0
        if 97 <= byte <= 122:
            symbol = byte - 96
        elif 65 <= byte <= 90:
            symbol = byte - 64
            if was_lower:
                state = moves[state, 0]
                bits |= found[state]
        was_lower = 97 <= byte <= 122
        state = moves[state, symbol]
        bits |= found[state]
    return bits | found[moves[state, 0]]

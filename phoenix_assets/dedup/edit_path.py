"""Which tokens of one sequence are those of another, in order: the shortest edit path, in bounded time.

The shortest path (Myers, "An O(ND) Difference Algorithm and Its Variations", 1986) is looked for up to a number of
differences. Where there are more, the sequences are cut at tokens that each of them has exactly once, as patience
diff does, and the stretches between are looked at by themselves. Where there are no such tokens either, the path that
came furthest stands, and the search goes on from its end.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

KERNEL_VERSION: Final = "1"

_CUTS: Final = 3  # times that a stretch with too many differences is cut again

Numbers = npt.NDArray[np.int64]


def mates(left: Numbers, right: Numbers, *, differences: int) -> Numbers:
    """Return, for each token of `left`, the place of the same token in `right`, or -1; places ascend.

    Takes at most some (len(left) + len(right)) * `differences` steps, and memory of the square of `differences`.
    """
    found = np.full(len(left), -1, np.int64)
    waiting = [(0, len(left), 0, len(right), 0)]
    while waiting:
        start, stop, other, other_stop, cuts = waiting.pop()
        one, two, mine = left[start:stop], right[other:other_stop], found[start:stop]
        reached, there = _shortest_path(one, two, min(differences, len(one) + len(two)), mine)
        if reached < len(one) and there < len(two):
            anchors = _anchors(one, two) if cuts < _CUTS else []
            if anchors:
                mine[:] = -1
                for a, b, c, d in _between(anchors, len(one), len(two)):
                    waiting.append((start + a, start + b, other + c, other + d, cuts + 1))
                continue
            waiting.append((start + reached, stop, other + there, other_stop, _CUTS))
        aligned = mine[:reached]  # not all: a long stretch comes back many times
        aligned[aligned >= 0] += other
    return found


def _anchors(left: Numbers, right: Numbers) -> list[tuple[int, int]]:
    """Return the places of tokens that both sides have exactly once: the most that ascend on both."""
    ours, our_place, our_count = np.unique(left, return_index=True, return_counts=True)
    theirs, their_place, their_count = np.unique(right, return_index=True, return_counts=True)
    _, mine, other = np.intersect1d(
        ours[our_count == 1], theirs[their_count == 1], assume_unique=True, return_indices=True
    )
    pairs = sorted(
        zip(
            our_place[our_count == 1][mine].tolist(),
            their_place[their_count == 1][other].tolist(),
            strict=True,
        )
    )
    return _longest_ascent(pairs)


def _longest_ascent(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest part of `pairs` (ascending on the left) that ascends on the right too."""
    ends: list[int] = []  # the smallest right place that an ascent of each length ends with
    last: list[int] = []  # and the pair that has it
    before: list[int] = []
    for number, (_, right) in enumerate(pairs):
        length = bisect_left(ends, right)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [right]
        last[length : length + 1] = [number]
    chain = []
    number = last[-1] if last else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def _between(anchors: list[tuple[int, int]], lefts: int, rights: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the stretches (start and stop on the left, on the right) before the anchors and from each to the next."""
    for (a, c), (b, d) in zip([(0, 0), *anchors], [*anchors, (lefts, rights)], strict=True):
        if b > a and d > c:
            yield a, b, c, d


@numba.njit(cache=True, nogil=True)
def _shortest_path(left: Numbers, right: Numbers, most: int, mate: Numbers) -> tuple[int, int]:
    """Write the mates of `left` on the shortest edit path; return where it ends, at both ends or after `most` edits."""
    lefts, rights = len(left), len(right)
    furthest = np.zeros(2 * most + 3, np.int64)  # on each diagonal, the place on the left
    trace = np.empty((most + 1) * (most + 2) // 2, np.int32)
    for edits in range(most + 1):
        for diagonal in range(-edits, edits + 1, 2):
            at = diagonal + most + 1
            if diagonal == -edits or (diagonal != edits and furthest[at - 1] < furthest[at + 1]):
                x = furthest[at + 1]
            else:
                x = furthest[at - 1] + 1
            while x < lefts and x - diagonal < rights and left[x] == right[x - diagonal]:
                x += 1
            furthest[at] = x
            trace[edits * (edits + 1) // 2 + (diagonal + edits) // 2] = x
            if x >= lefts and x - diagonal >= rights:
                _walk_back(trace, edits, lefts, rights, mate)
                return lefts, rights
    best_x = best_y = 0
    for diagonal in range(-most, most + 1, 2):
        x = furthest[diagonal + most + 1]
        y = x - diagonal
        if x <= lefts and y <= rights and x + y > best_x + best_y:
            best_x, best_y = x, y
    _walk_back(trace, most, best_x, best_y, mate)
    return best_x, best_y


@numba.njit(cache=True, nogil=True)
def _walk_back(trace: npt.NDArray[np.int32], edits: int, x: int, y: int, mate: Numbers) -> None:
    while True:
        diagonal = x - y
        start = 0
        before = 0
        if edits:
            base = (edits - 1) * edits // 2
            down, across = base + (diagonal + edits) // 2, base + (diagonal + edits - 2) // 2
            if diagonal == -edits or (diagonal != edits and trace[across] < trace[down]):
                start = before = trace[down]
                diagonal += 1
            else:
                before = trace[across]
                start = before + 1
                diagonal -= 1
        for place in range(start, x):
            mate[place] = place - (x - y)
        if not edits:
            return
        x, y = before, before - diagonal
        edits -= 1

"""Decide a block of documents, one after the other in the order of their priority: who is kept, who stands behind whom.

A document that matches nothing before it is kept. Otherwise it stands behind the first survivor that anything it
matches stands behind: matches reach a survivor through dropped documents too, so clusters are connected components.
Whoever was kept stays kept: when a later document matches the clusters of two survivors, it is a *bridge* between them
and makes them one cluster. So the decisions are the same whether documents come in one block or in many.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.dedup.matching import agree
from phoenix_assets.dedup.segments import NO_KEY, Block, Numbers, Prints

KERNEL_VERSION: Final = "2"


def budgets(block: Block, compared: int) -> npt.NDArray[np.int32]:
    """Return (bands, rows): how many documents before the block may still be looked at for each key of each row."""
    members: npt.NDArray[np.int32] = _earlier_members(block.keys, block.order)
    left: npt.NDArray[np.int32] = np.maximum(np.int32(compared) - members, np.int32(0))
    return left


def settle(
    block: Block, start: int, earlier: tuple[Numbers, Numbers], *, least: int, compared: int
) -> tuple[Numbers, Numbers]:
    """Decide the documents of a block whose first one has the number `start`.

    `earlier` are the matches with documents before the block: (row, survivor) pairs by row. Returns the number that
    each row stands behind, its own when it is kept, and bridges (bridges, 3): two survivors whose clusters are one, and
    the number of the document that is like something in both; it stands behind the first.
    """
    rows, old_survivors = earlier
    bounds = np.searchsorted(rows, np.arange(len(block) + 1))
    positions = np.empty_like(block.order)
    np.put_along_axis(positions, block.order, np.arange(len(block), dtype=np.int32)[None, :], axis=1)
    survivors = np.empty(len(block), np.int64)
    bridges = _settle(
        _earlier_members(block.keys, block.order), block.order, positions, block.prints, start, bounds, old_survivors,
        least, compared, survivors,
    )  # fmt: skip
    return survivors, bridges


@numba.njit(cache=True, nogil=True)
def _earlier_members(keys: Numbers, order: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return, for each key of each row, how many rows before it in the block have the same key; none have NO_KEY."""
    members = np.zeros(keys.shape, np.int32)
    for band in range(keys.shape[0]):
        for place in range(1, keys.shape[1]):
            row, before = order[band, place], order[band, place - 1]
            if keys[band, row] == keys[band, before] and keys[band, row] != NO_KEY:
                members[band, row] = members[band, before] + 1
    return members


@numba.njit(cache=True, nogil=True)
def _settle(
    members: npt.NDArray[np.int32],
    order: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int32],
    prints: Prints,
    start: int,
    bounds: Numbers,
    old_survivors: Numbers,
    least: int,
    compared: int,
    survivors: Numbers,
) -> Numbers:
    bands, rows = members.shape
    matched = np.empty(16, np.int64)  # the survivors that this row was found to match
    bridges = np.empty((16, 3), np.int64)
    bridged = 0
    unlike = np.full(rows, -1, np.int32)  # the last row that was compared with each and found unlike it
    before = np.full(order.shape, -1, np.int32)  # by place: the last with its key that stands behind another
    for row in range(rows):
        found = 0
        for place in range(bounds[row], bounds[row + 1]):
            found, matched = _add(matched, found, old_survivors[place])
        for band in range(bands):
            if members[band, row] == 0:
                continue
            place = int(positions[band, row]) - 1
            last = place - min(members[band, row], compared)
            while place > last:
                other = order[band, place]
                known = _is_among(matched, found, survivors[other])
                if not known and unlike[other] != row:
                    known = agree(prints, row, prints, other, least)
                    if known:
                        found, matched = _add(matched, found, survivors[other])
                    else:
                        unlike[other] = row
                place = int(before[band, place]) if known else place - 1
        chosen = start + row
        for place in range(found):
            chosen = min(chosen, matched[place])
        survivors[row] = chosen
        for band in range(bands):
            if members[band, row] > 0:
                place = int(positions[band, row])
                same = survivors[order[band, place - 1]] == chosen
                before[band, place] = before[band, place - 1] if same else place - 1
        for place in range(found):
            if matched[place] != chosen:
                if bridged == len(bridges):
                    wider = np.empty((2 * bridged, 3), np.int64)
                    wider[:bridged] = bridges
                    bridges = wider
                bridges[bridged] = chosen, matched[place], start + row
                bridged += 1
    return bridges[:bridged].copy()


@numba.njit(cache=True, nogil=True)
def _is_among(matched: Numbers, found: int, survivor: int) -> bool:
    among = False
    for place in range(found):
        among |= matched[place] == survivor
    return among


@numba.njit(cache=True, nogil=True)
def _add(matched: Numbers, found: int, survivor: int) -> tuple[int, Numbers]:
    """Add a survivor to the first `found` of `matched` unless it is among them."""
    if _is_among(matched, found, survivor):
        return found, matched
    if found == len(matched):
        wider = np.empty(2 * found, np.int64)
        wider[:found] = matched
        matched = wider
    matched[found] = survivor
    return found + 1, matched

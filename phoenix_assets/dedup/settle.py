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

from phoenix_assets.dedup.segments import NO_KEY, Block, Numbers, Prints, agree

KERNEL_VERSION: Final = "1"


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
    each row stands behind, its own when it is kept, and bridges (bridges, 2): survivors whose clusters are one.
    """
    rows, old_survivors = earlier
    bounds = np.searchsorted(rows, np.arange(len(block) + 1))
    positions = np.empty_like(block.order)
    np.put_along_axis(positions, block.order, np.arange(len(block), dtype=np.int32)[None, :], axis=1)
    survivors = np.empty(len(block), np.int64)
    bridges = _settle(
        block.keys, block.order, positions, block.prints, start, bounds, old_survivors, least, compared, survivors
    )  # fmt: skip
    return survivors, bridges


@numba.njit(cache=True, nogil=True)
def _earlier_members(keys: Numbers, order: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return, for each key of each row, how many rows before it in the block have the same key."""
    members = np.zeros(keys.shape, np.int32)
    for band in range(keys.shape[0]):
        for place in range(1, keys.shape[1]):
            row, before = order[band, place], order[band, place - 1]
            if keys[band, row] == keys[band, before]:
                members[band, row] = members[band, before] + 1
    return members


@numba.njit(cache=True, nogil=True)
def _settle(
    keys: Numbers,
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
    bands, rows = keys.shape
    matched = np.empty(16, np.int64)  # the survivors that this row was found to match
    bridges = np.empty((16, 2), np.int64)
    bridged = 0
    for row in range(rows):
        found = 0
        for place in range(bounds[row], bounds[row + 1]):
            found, matched = _add(matched, found, old_survivors[place])
        for band in range(bands):
            key = keys[band, row]
            if key == NO_KEY:
                continue
            place = positions[band, row]
            last = max(0, place - compared)
            while place > last:
                place -= 1
                other = order[band, place]
                if keys[band, other] != key:
                    break
                survivor = survivors[other]
                known = False
                for earlier in range(found):
                    known |= matched[earlier] == survivor
                if not known and agree(prints, row, prints, other, least):
                    found, matched = _add(matched, found, survivor)
        chosen = start + row
        for place in range(found):
            chosen = min(chosen, matched[place])
        survivors[row] = chosen
        for place in range(found):
            if matched[place] != chosen:
                if bridged == len(bridges):
                    wider = np.empty((2 * bridged, 2), np.int64)
                    wider[:bridged] = bridges
                    bridges = wider
                bridges[bridged] = chosen, matched[place]
                bridged += 1
    return bridges[:bridged].copy()


@numba.njit(cache=True, nogil=True)
def _add(matched: Numbers, found: int, survivor: int) -> tuple[int, Numbers]:
    """Add a survivor to the first `found` of `matched` unless it is among them."""
    for place in range(found):
        if matched[place] == survivor:
            return found, matched
    if found == len(matched):
        wider = np.empty(2 * found, np.int64)
        wider[:found] = matched
        matched = wider
    matched[found] = survivor
    return found + 1, matched

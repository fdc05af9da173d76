"""Decide documents by their passages, one after the other in the order of their priority.

A passage is a duplicate when a document that stays has it already, or the document itself has it further up. A document
of which too many letters are in duplicates goes, and what it has holds nothing: the first one that stays is the holder
of a passage. So each passage that is removed is still there, in the document that it stands behind.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.dedup.passages.prints import LETTERS, SAME
from phoenix_assets.dedup.segments import NO_KEY, Block, Numbers, Prints

KERNEL_VERSION: Final = "1"

NOTHING: Final = (
    -2
)  # what a row stands behind that holds nothing and is no duplicate: all of a document that goes


def settle_passages(
    block: Block, heads: Numbers, start: int, earlier: tuple[Numbers, Numbers], *, max_share: float
) -> Numbers:
    """Return what each row of a block, whose first one has the number `start`, stands behind.

    `heads` are the documents' first rows, `earlier` the (row, holder) pairs of passages that documents before the block
    hold. A head has its own number where the document stays, NOTHING where it goes.
    """
    holders = np.full(len(block), NOTHING, np.int64)
    holders[earlier[0]] = earlier[1]
    first = _first_likes(block.keys[0], block.order[0], block.prints)
    bounds = np.append(heads, len(block))
    survivors: Numbers = _settle(block.prints, first, bounds, holders, start, max_share)
    return survivors


@numba.njit(cache=True, nogil=True)
def _first_likes(keys: Numbers, order: npt.NDArray[np.int32], prints: Prints) -> Numbers:
    """Return the first row that is the same passage, for each row; heads are like nothing."""
    first = np.arange(len(keys))
    run = 0  # the first place in `order` with this key
    for place in range(1, len(keys)):
        row = order[place]
        if keys[row] != keys[order[run]]:
            run = place
        if keys[row] == NO_KEY:
            continue
        for other in range(run, place):
            if (prints[row, :SAME] == prints[order[other], :SAME]).all():
                first[row] = first[order[other]]
                break
    return first


@numba.njit(cache=True, nogil=True)
def _settle(
    prints: Prints, first: Numbers, bounds: Numbers, holders: Numbers, start: int, max_share: float
) -> Numbers:
    """Decide; `holders` has, at the first row of each passage, the number of the row that holds it, if one does."""
    rows = len(first)
    survivors = np.empty(rows, np.int64)
    seen = np.full(rows, -1, np.int64)  # the row at which the document at hand has a passage first
    for document in range(len(bounds) - 1):
        head, end = bounds[document], bounds[document + 1]
        duplicated = np.int64(0)
        for row in range(head + 1, end):
            passage = first[row]
            if holders[passage] != NOTHING:
                survivors[row] = holders[passage]
            elif seen[passage] >= head:
                survivors[row] = start + seen[passage]
            else:
                survivors[row] = NOTHING
                seen[passage] = row
                continue
            duplicated += np.int64(prints[row, LETTERS])
        stays = duplicated <= max_share * np.int64(prints[head, LETTERS])
        survivors[head] = start + head if stays else NOTHING
        for row in range(head + 1, end if stays else head + 1):
            if survivors[row] == NOTHING:
                survivors[row] = holders[first[row]] = start + row
    return survivors

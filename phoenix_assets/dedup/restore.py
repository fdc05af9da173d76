"""Make a damaged index again, with just the decisions that stand: from the table of them and from the signatures.

Each document gets the number that it had and stands behind what it stood behind; the numbers of documents that are gone
stay empty. So whatever comes next is decided as the undamaged index would decide it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup.candidates import DeliveryInput, Sorting, decided_documents
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.segments import GONE, NO_KEY, Block, Numbers
from phoenix_assets.errors import LineageError

KERNEL_VERSION: Final = "1"

_NOWHERE: Final = -1  # the delivery of a document that is gone


def restore(
    index: Index,
    size: int,
    decisions: Sequence[Path],
    deliveries: Sequence[DeliveryInput],
    column: str,
    sorting: Sorting,
    as_block: Callable[[pl.DataFrame], Block],
) -> None:
    """Put the documents in the files of `decisions` back into the empty `index`, which had given out `size` numbers.

    `deliveries` are those that were decided, their place is their number; `column` of their signatures is the print
    that `as_block` makes keys of. Raises LineageError when a decided document has no signature any more.
    """
    most = sorting.block_documents
    for documents in decided_documents(list(enumerate(deliveries)), decisions, column, sorting):
        require_prints(documents)
        block, numbers = as_block(documents), documents["number"].to_numpy()
        survivors = documents["survivor"].to_numpy()
        put_back(index, block, numbers, survivors, int(numbers[-1]) + 1, most, index.put_back)
    if index.size:
        put_back(
            index, block, numbers, survivors, size, most, index.put_back
        )  # the last ones to come are gone


def require_prints(documents: pl.DataFrame) -> None:
    """Raise LineageError when a decided document has no prints any more: it is in no delivery."""
    if lost := documents["delivery_number"].null_count():
        raise LineageError(
            f"{lost} of {documents.height} decided documents have no prints any more, so their index cannot be made "
            "again from its decisions: rebuild it (`phoenix rebuild-index`), which decides everything anew"
        )


def put_back(
    index: Index,
    block: Block,
    numbers: Numbers,
    survivors: Numbers,
    end: int,
    most: int,
    append: Callable[[Block, Numbers], None],
) -> None:
    """Continue the index to the number `end`, with those rows of the block that have their numbers there."""
    for first in range(index.size, end, most):
        count = min(most, end - first)
        rows = slice(*np.searchsorted(numbers, [first, first + count]))
        places = numbers[rows] - first
        spread = Block(
            ids=np.zeros((count, block.ids.shape[1]), np.uint8),
            deliveries=np.full(count, _NOWHERE, np.int32),
            prints=np.zeros((count, block.prints.shape[1]), np.uint32),
            keys=np.full((len(block.keys), count), NO_KEY),
        )
        spread.ids[places], spread.deliveries[places] = block.ids[rows], block.deliveries[rows]
        spread.prints[places], spread.keys[:, places] = block.prints[rows], block.keys[:, rows]
        behind = np.full(count, GONE)
        behind[places] = survivors[rows]
        append(spread, behind)

"""Bring an index of passages up to the deliveries of now: take out what is gone, decide what is new."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup.candidates import DeliveryInput, Sorting, candidates
from phoenix_assets.dedup.index import Index, doc_ids
from phoenix_assets.dedup.passages import index as passage_index
from phoenix_assets.dedup.passages.prints import blocks, heads_of, to_values
from phoenix_assets.dedup.segments import Numbers
from phoenix_assets.dedup.update import Known, Update, difference, turnover

KERNEL_VERSION: Final = "1"


@dataclass(frozen=True)
class Deciding:
    """How documents are decided by their passages, and how many at a time."""

    max_share: float  # of its letters in duplicates: beyond it a document goes
    block_passages: int


def update_passages(
    index: Index,
    known: Sequence[Known],
    current: Sequence[DeliveryInput],
    sorting: Sorting,
    deciding: Deciding,
) -> Update:
    """Update `index`, of which the `known` deliveries were decided, to the `current` ones; cost follows what differs.

    What stood behind a document that is gone is decided before what is new.
    """
    deliveries = turnover(known, current)
    now, gone, changed = deliveries.now, deliveries.gone, deliveries.changed
    here = sorted([*deliveries.new, *changed])
    differences = [_difference(index, number, now[number], sorting) for number in changed]
    leaving = np.concatenate([index.numbers_of(gone), *(left for left, _ in differences)])
    removed = len(heads_of(index.gather("prints", leaving))) if len(leaving) else 0
    revision = passage_index.take_out(index, leaving, max_share=deciding.max_share)
    documents = candidates(
        [(number, now[number]) for number in here],
        "prints",
        sorting,
        chosen=pl.DataFrame(
            {"doc_id": pl.concat([pl.Series(dtype=pl.String), *(came for _, came in differences)])}
        ),
        partly=changed,
    )
    added = passage_index.add(index, blocks(documents, deciding.block_passages), max_share=deciding.max_share)
    return Update(
        known=deliveries.known,
        affected=sorted({*gone, *here, *revision.deliveries}),
        added=added,
        removed=removed,
        revised=revision.decided.select("doc_id", "kept", "duplicate_of", "duplicated", "holder"),
    )


def _difference(index: Index, number: int, now: DeliveryInput, sorting: Sorting) -> tuple[Numbers, pl.Series]:
    held = (_held(index, numbers) for _, numbers in index.by_delivery([number]))
    return difference(held, candidates([(number, now)], "prints", sorting))


def _held(index: Index, numbers: Numbers) -> pl.DataFrame:
    """Return the documents that begin among these rows: doc_id, all their prints, the number of their head, their rows."""
    numbers = passage_index.whole_documents(index, numbers)
    prints = index.gather("prints", numbers)
    heads = heads_of(prints)
    return pl.DataFrame(
        {
            "doc_id": doc_ids(index.gather("ids", numbers[heads])),
            "print": to_values(prints, heads),
            "number": numbers[heads],
            "rows": np.diff(np.append(heads, len(numbers))),
        }
    )

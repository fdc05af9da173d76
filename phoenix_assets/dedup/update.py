"""Bring an index up to the deliveries of now: take out what is gone, decide what is new or was freed by that."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup import minhash
from phoenix_assets.dedup.candidates import DeliveryInput, Sorting, candidates
from phoenix_assets.dedup.index import DECIDED, Index, doc_ids, pieces, spans
from phoenix_assets.dedup.segments import Block, Numbers

KERNEL_VERSION: Final = "2"


@dataclass(frozen=True)
class Known:
    """A delivery that was decided; its place in the list is its number in the index."""

    source: str
    delivery: str
    version: str  # of what was read; "" when it is gone

    @property
    def name(self) -> tuple[str, str]:
        """Source and delivery."""
        return self.source, self.delivery


@dataclass(frozen=True)
class Update:
    """What an update came to."""

    known: list[Known]
    affected: list[int]  # numbers of the deliveries with a decision that is new, other or gone
    added: int
    removed: int
    revised: pl.DataFrame  # doc_id, duplicate_of: earlier documents that were decided otherwise than before


@dataclass(frozen=True)
class Turnover:
    """Deliveries that were decided beside those of now; all are named by their numbers in the index."""

    known: list[Known]  # as they are after an update
    now: dict[int, DeliveryInput]
    gone: list[int]
    new: list[int]
    changed: list[int]


def turnover(known: Sequence[Known], current: Sequence[DeliveryInput]) -> Turnover:
    """Return what differs between the `known` deliveries and the `current` ones; unknown names get numbers at the end."""
    now = {one.name: one for one in current}
    names = list(dict.fromkeys([*(one.name for one in known), *now]))
    before = [one.version for one in known] + [""] * (len(names) - len(known))
    after = [now[name].version if name in now else "" for name in names]
    differ = [number for number in range(len(names)) if before[number] != after[number]]
    return Turnover(
        known=[Known(*name, version) for name, version in zip(names, after, strict=True)],
        now={number: now[name] for number, name in enumerate(names) if name in now},
        gone=[number for number in differ if not after[number]],
        new=[number for number in differ if not before[number]],
        changed=[number for number in differ if before[number] and after[number]],
    )


def difference(held: Iterable[pl.DataFrame], now: Iterable[pl.DataFrame]) -> tuple[Numbers, pl.Series]:
    """Return the numbers of what a delivery no longer has, and the doc_ids that it did not have.

    `held` are its documents in the index (doc_id, print, number, rows: how many from that number on), `now` those of now
    (doc_id, print). Of the prints no more than a hash is held in memory.
    """
    said = [pl.col("doc_id"), pl.col("print").hash()]
    schema = {"doc_id": pl.String, "print": pl.UInt64}
    old = (frame.select(*said, "number", "rows") for frame in held)
    before = pl.concat([pl.DataFrame(schema={**schema, "number": pl.Int64, "rows": pl.Int64}), *old])
    after = pl.concat([pl.DataFrame(schema=schema), *(frame.select(said) for frame in now)])
    left = before.join(after, on=list(schema), how="anti").sort("number")
    came = after.join(before, on=list(schema), how="anti")
    return spans(left["number"].to_numpy(), left["rows"].to_numpy()), came["doc_id"]


def update(
    index: Index,
    known: Sequence[Known],
    current: Sequence[DeliveryInput],
    column: str,
    sorting: Sorting,
    as_block: Callable[[pl.DataFrame], Block],
) -> Update:
    """Update `index`, of which the `known` deliveries were decided, to the `current` ones; cost follows what differs.

    `column` of the signatures is the print that `as_block` makes keys of.
    """
    deliveries = turnover(known, current)
    now, gone, new, changed = deliveries.now, deliveries.gone, deliveries.new, deliveries.changed
    leaving, arriving = [index.numbers_of(gone)], [pl.Series(dtype=pl.String)]
    for number in changed:
        left, came = _difference(index, number, now[number], column, sorting)
        leaving.append(left)
        arriving.append(came)
    leaving_now = np.concatenate(leaving)
    orphans = index.take_out(leaving_now)
    homes: Iterable[int] = index.gather("deliveries", orphans["number"].to_numpy()) if orphans.height else ()
    partly = sorted({*changed, *(int(number) for number in homes)} - set(new))
    documents = candidates(
        [(number, now[number]) for number in (*new, *partly)],
        column,
        sorting,
        chosen=pl.DataFrame({"doc_id": pl.concat([*arriving, orphans["doc_id"]])}),
        partly=partly,
    )
    first = index.size
    index.add(map(as_block, documents))  # which does not hold on to a frame while its block is decided
    return Update(
        known=deliveries.known,
        affected=sorted({*gone, *new, *partly}),
        added=index.size - first - orphans.height,
        removed=len(leaving_now),
        revised=_revised(index, orphans, first, sorting.block_documents),
    )


def _revised(index: Index, orphans: pl.DataFrame, first: int, most: int) -> pl.DataFrame:
    """Return doc_id and duplicate_of of the orphans that stand behind something else now; `first` came first again."""
    came = np.arange(first, index.size) if orphans.height else np.empty(0, np.int64)
    again = [
        index.decisions(
            piece[doc_ids(index.gather("ids", piece)).is_in(orphans["doc_id"].implode()).to_numpy()]
        )
        for piece in pieces(came, most)
    ]
    both = orphans.select("doc_id", before="duplicate_of").join(
        pl.concat([pl.DataFrame(schema=DECIDED), *again]), on="doc_id"
    )
    return both.filter(pl.col("before").ne_missing(pl.col("duplicate_of"))).select("doc_id", "duplicate_of")


def _difference(
    index: Index, number: int, now: DeliveryInput, column: str, sorting: Sorting
) -> tuple[Numbers, pl.Series]:
    held = (
        pl.DataFrame(
            {
                "doc_id": doc_ids(index.gather("ids", numbers)),
                "print": minhash.to_binary(index.gather("prints", numbers)),
                "number": numbers,
                "rows": np.ones_like(numbers),
            }
        )
        for _, numbers in index.by_delivery([number], sorting.block_documents)
    )
    blank = b"\0" * 16  # as a document without any text is stored
    documents = candidates([(number, now)], column, sorting)
    return difference(held, (frame.with_columns(pl.col("print").fill_null(blank)) for frame in documents))

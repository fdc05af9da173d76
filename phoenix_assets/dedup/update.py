"""Bring an index up to the deliveries of now: take out what is gone, decide what is new or was freed by that."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup import minhash
from phoenix_assets.dedup.candidates import DeliveryInput, Sorting, candidates
from phoenix_assets.dedup.index import Index, doc_ids
from phoenix_assets.dedup.segments import Block, Numbers

KERNEL_VERSION: Final = "1"


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
    now = {one.name: one for one in current}
    names = list(dict.fromkeys([*(one.name for one in known), *now]))
    before = [one.version for one in known] + [""] * (len(names) - len(known))
    after = [now[name].version if name in now else "" for name in names]
    gone = [number for number, version in enumerate(after) if not version and before[number]]
    new = [number for number, version in enumerate(after) if version and not before[number]]
    changed = [
        number for number, version in enumerate(after) if version and before[number] not in ("", version)
    ]
    leaving, arriving = [index.numbers_of(gone)], [pl.Series(dtype=pl.String)]
    for number in changed:
        left, came = _difference(index, number, now[names[number]], column, sorting)
        leaving.append(left)
        arriving.append(came)
    leaving_now = np.concatenate(leaving)
    orphans = index.take_out(leaving_now)
    homes: Iterable[int] = index.gather("deliveries", orphans["number"].to_numpy()) if orphans.height else ()
    partly = sorted({*changed, *(int(number) for number in homes)} - set(new))
    documents = candidates(
        [(number, now[names[number]]) for number in (*new, *partly)],
        column,
        sorting,
        chosen=pl.DataFrame({"doc_id": pl.concat([*arriving, orphans["doc_id"]])}),
        partly=partly,
    )
    first = index.size
    index.add(as_block(frame) for frame in documents)
    return Update(
        known=[Known(*name, version) for name, version in zip(names, after, strict=True)],
        affected=sorted({*gone, *new, *partly}),
        added=index.size - first - orphans.height,
        removed=len(leaving_now),
        revised=_revised(index, orphans, first),
    )


def _revised(index: Index, orphans: pl.DataFrame, first: int) -> pl.DataFrame:
    """Return doc_id and duplicate_of of the orphans that stand behind something else now; `first` came first again."""
    now = index.decisions(np.arange(first, index.size)) if orphans.height else orphans
    both = orphans.select("doc_id", before="duplicate_of").join(now, on="doc_id")
    return both.filter(pl.col("before").ne_missing(pl.col("duplicate_of"))).select("doc_id", "duplicate_of")


def _difference(
    index: Index, number: int, now: DeliveryInput, column: str, sorting: Sorting
) -> tuple[Numbers, pl.Series]:
    """Return the numbers of documents that a delivery no longer has, and the doc_ids that it did not have."""
    numbers = index.numbers_of([number])
    old = pl.DataFrame(
        {
            "doc_id": doc_ids(index.gather("ids", numbers)),
            "print": minhash.to_binary(index.gather("prints", numbers)),
            "number": numbers,
        }
    )
    parts = [frame.select("doc_id", "print") for frame in candidates([(number, now)], column, sorting)]
    new = pl.concat([old.select("doc_id", "print").clear(), *parts])
    blank = pl.col("print").fill_null(b"\0" * 16)  # as a document without any text is stored
    new = new.with_columns(blank)
    left = old.join(new, on=["doc_id", "print"], how="anti")
    came = new.join(old, on=["doc_id", "print"], how="anti")
    return left["number"].to_numpy(), came["doc_id"]

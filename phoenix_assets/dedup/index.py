"""The index of a dedup group at one granularity: what was decided on every document, and where to find its likes.

The model:
- Documents are decided in blocks, in the order of their priority, each against everything before it; whoever came into
  an earlier version of the index stands before whoever comes now. Adding costs what the added documents cost.
- A document that leaves the corpus is marked as gone. The duplicates of its cluster are orphans: they leave too and
  come again as new documents, so decisions are as if it had never come.
- The files of an index are immutable: a new version refers to those of the last one and adds its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.dedup.binary import to_binary
from phoenix_assets.dedup.segments import (
    GONE,
    Block,
    Numbers,
    Segment,
    matches,
    merge_segments,
    replace_survivors,
    write_segment,
)
from phoenix_assets.dedup.settle import budgets, settle

KERNEL_VERSION: Final = "1"

DECIDED: Final = pl.Schema(
    {
        "number": pl.Int64,  # in the index
        "doc_id": pl.String,
        "kept": pl.Boolean,
        "duplicate_of": pl.String,  # the survivor's doc_id, null when kept
        "survivor": pl.Int64,  # the survivor's number
        "similarity": pl.Float64,  # share of places in which the print agrees with the survivor's, null when kept
        "band": pl.Int16,  # the first band shared with the survivor; null when kept, or alike only through others
    }
)


@dataclass
class Index:
    """Segments and what may be added to them; new files go to `folder`, which belongs to this version alone."""

    folder: Path
    bands: int  # of a print, each with a key of its own
    least: int  # places in which the prints of duplicates agree
    compared: int  # documents that share a key with one and are compared with it, at most: the latest
    segment_documents: int  # segments grow no larger by merging
    threads: int = 1
    segments: list[Segment] = field(default_factory=list)
    bridges: Numbers = field(default_factory=lambda: np.empty((0, 2), np.int64))

    @property
    def size(self) -> int:
        """The number of the next document: how many were ever decided."""
        return self.segments[-1].start + self.segments[-1].count if self.segments else 0

    def add(self, blocks: Iterable[Block]) -> None:
        """Decide blocks of new documents."""
        for block in blocks:
            if len(block):
                self._add(block)

    def take_out(self, numbers: Numbers) -> pl.DataFrame:
        """Mark documents as gone, with the orphans of their clusters; return the DECIDED rows that orphans had.

        Orphans are all that stood behind the same survivors: which of them a lost document connected is not known.
        """
        if not len(numbers):
            return pl.DataFrame(schema=DECIDED)
        gone = np.sort(numbers)
        survivors = np.unique(self.gather("survivors", gone))
        orphans = np.setdiff1d(self._behind(survivors), np.concatenate([gone, survivors]))
        decided = self.decisions(orphans)
        leaving = np.union1d(gone, orphans)
        for place, segment in enumerate(self.segments):
            mine = leaving[(leaving >= segment.start) & (leaving < segment.start + segment.count)]
            if len(mine):
                survivors = np.array(segment.survivors)
                survivors[mine - segment.start] = GONE
                path = self.folder / f"{segment.name}-survivors.npy"
                self.segments[place] = replace_survivors(path, segment, survivors)
        return decided

    @property
    def duplicates(self) -> int:
        """How many documents of the corpus stand behind another one."""
        return sum(
            int(np.count_nonzero((one.survivors != GONE) & (one.survivors != one.numbers)))
            for one in self.segments
        )

    def numbers_of(self, deliveries: Iterable[int]) -> Numbers:
        """Return the numbers of the documents of deliveries that are still part of the corpus, ascending."""
        found = [numbers for _, numbers in self.by_delivery(deliveries)]
        return np.sort(np.concatenate([np.empty(0, np.int64), *found]))

    def by_delivery(self, deliveries: Iterable[int]) -> Iterator[tuple[int, Numbers]]:
        """Yield a delivery and the numbers of its documents that are part of the corpus, a segment at a time."""
        wanted = np.fromiter(deliveries, np.int32)
        for segment in self.segments if len(wanted) else ():
            home = segment.load("deliveries")
            mine = np.flatnonzero(np.isin(home, wanted) & (segment.survivors != GONE))
            if not len(mine):
                continue
            mine = mine[np.argsort(home[mine], kind="stable")]
            there, first = np.unique(home[mine], return_index=True)
            for delivery, places in zip(there, np.split(mine, first[1:]), strict=True):
                yield int(delivery), segment.start + places

    def gather(self, name: str, numbers: Numbers) -> npt.NDArray[Any]:
        """Return one column (`ids`, `prints`, `deliveries`, …) of documents by number. There must be a segment."""
        starts = np.array([segment.start for segment in self.segments])
        owner = np.searchsorted(starts, numbers, side="right") - 1
        first = self.segments[0].load(name)
        column = np.empty((len(numbers), *first.shape[1:]), first.dtype)
        for place, segment in enumerate(self.segments):
            mine = owner == place
            if mine.any():
                column[mine] = segment.load(name)[numbers[mine] - segment.start]
        return column

    def decisions(self, numbers: Numbers) -> pl.DataFrame:
        """Return DECIDED rows of documents by number."""
        survivors = self.gather("survivors", numbers)
        dropped = survivors != numbers
        behind = survivors[dropped]
        agree = self.gather("prints", numbers[dropped]) == self.gather("prints", behind)
        width = agree.shape[1] // self.bands
        shared = agree[:, : self.bands * width].reshape(-1, self.bands, width).all(axis=2)
        details = pl.DataFrame(
            {
                "number": numbers[dropped],
                "duplicate_of": doc_ids(self.gather("ids", behind)),
                "similarity": agree.mean(axis=1),
                "band": np.where(shared.any(axis=1), shared.argmax(axis=1), -1),
            }
        )
        rows = pl.DataFrame(
            {"number": numbers, "doc_id": doc_ids(self.gather("ids", numbers)), "survivor": survivors}
        )
        return (
            rows.join(details, on="number", how="left", maintain_order="left")
            .with_columns(kept=pl.col("number") == pl.col("survivor"), band=pl.col("band").replace(-1, None))
            .select(DECIDED.names())
            .cast(dict(DECIDED))  # type: ignore[arg-type]
        )

    def _add(self, block: Block) -> None:
        start = self.size
        budget = budgets(block, self.compared)
        earlier = matches(block, self.segments, budget, least=self.least, threads=self.threads)
        survivors, bridges = settle(block, start, earlier, least=self.least, compared=self.compared)
        self.segments.append(write_segment(self.folder, block, survivors, start))
        self.bridges = np.concatenate([self.bridges, bridges])
        self._merge()

    def _behind(self, gone: Numbers) -> Numbers:
        found = [
            segment.start + np.flatnonzero(np.isin(segment.survivors, gone)) for segment in self.segments
        ]
        return np.concatenate([np.empty(0, np.int64), *found])

    def _merge(self) -> None:
        """Merge small segments, so that there are few: sizes fall at least by half from one to the next."""
        while len(self.segments) > 1:
            left, right = self.segments[-2:]
            count = left.count + right.count
            if left.count > 2 * right.count or count > self.segment_documents:
                return
            self.segments[-2:] = [merge_segments(self.folder, [left, right])]


def doc_ids(ids: npt.NDArray[np.uint8]) -> pl.Series:
    """Return (documents, 16) bytes as doc_ids, 32 hex digits each."""
    return to_binary("doc_id", ids).bin.encode("hex")

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
from phoenix_assets.dedup.matching import matches
from phoenix_assets.dedup.segments import (
    GONE,
    Block,
    Numbers,
    Segment,
    merge_segments,
    replace_survivors,
    write_segment,
)
from phoenix_assets.dedup.settle import budgets, settle

KERNEL_VERSION: Final = "2"

_NO_BRIDGES: Final = np.empty((0, 3), np.int64)
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
    bridges: Numbers = field(default_factory=_NO_BRIDGES.copy)  # see `settle`

    @property
    def size(self) -> int:
        """The number of the next document: how many were ever decided."""
        return self.segments[-1].start + self.segments[-1].count if self.segments else 0

    def add(self, blocks: Iterable[Block]) -> None:
        """Decide blocks of new documents."""
        for block in blocks:
            if len(block):
                self.append(block, *self._settle(block))

    def put_back(self, block: Block, survivors: Numbers) -> None:
        """Append documents with the decisions that were made on them; bridges are found again."""
        _, bridges = self._settle(block)
        self.append(block, survivors, bridges)

    def append(self, block: Block, survivors: Numbers, bridges: Numbers = _NO_BRIDGES) -> None:
        """Add documents that were decided: `survivors` is what each stands behind."""
        self.segments.append(write_segment(self.folder, block, survivors, self.size))
        self.bridges = np.concatenate([self.bridges, bridges])
        self._merge()

    def behind(self, survivors: Numbers) -> Numbers:
        """Return the numbers of all that stands behind these, themselves among them."""
        found = [
            segment.start + np.flatnonzero(np.isin(segment.survivors, survivors)) for segment in self.segments
        ]
        return np.concatenate([np.empty(0, np.int64), *found])

    def take_out(self, numbers: Numbers) -> pl.DataFrame:
        """Mark documents as gone, with the orphans of their clusters; return the DECIDED rows that orphans had.

        Orphans are all that stood behind the same survivors: which of them a lost document connected is not known.
        """
        if not len(numbers):
            return pl.DataFrame(schema=DECIDED)
        gone = np.sort(numbers)
        survivors = np.unique(self.gather("survivors", gone))
        orphans = np.setdiff1d(self.behind(survivors), np.concatenate([gone, survivors]))
        decided = self.decisions(orphans)
        self.bridges = self._lasting_bridges(survivors, gone)
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
            int(np.count_nonzero((survivors != GONE) & (survivors != one.numbers)))
            for one in self.segments
            for survivors in [one.survivors]
        )

    def numbers_of(self, deliveries: Iterable[int]) -> Numbers:
        """Return the numbers of the documents of deliveries that are still part of the corpus, ascending."""
        found = [numbers for _, numbers in self.by_delivery(deliveries)]
        return np.sort(np.concatenate([np.empty(0, np.int64), *found]))

    def by_delivery(
        self, deliveries: Iterable[int], most: int | None = None
    ) -> Iterator[tuple[int, Numbers]]:
        """Yield a delivery and the numbers of its documents that are part of the corpus, a segment at a time.

        No more than `most` numbers come at a time.
        """
        wanted = np.fromiter(deliveries, np.int32)
        for segment in self.segments if len(wanted) else ():
            home = segment.load("deliveries")
            mine = np.flatnonzero(np.isin(home, wanted) & (segment.survivors != GONE))
            if not len(mine):
                continue
            mine = mine[np.argsort(home[mine], kind="stable")]
            there, first = np.unique(home[mine], return_index=True)
            for delivery, places in zip(there, np.split(mine, first[1:]), strict=True):
                for piece in pieces(segment.start + places, most or segment.count):
                    yield int(delivery), piece

    def gather(self, name: str, numbers: Numbers) -> npt.NDArray[Any]:
        """Return one column (`ids`, `prints`, `deliveries`, …) of documents by number. There must be a segment."""
        starts = np.array([segment.start for segment in self.segments])
        owner = np.searchsorted(starts, numbers, side="right") - 1
        first = self.segments[0].column(name).values
        gathered = np.empty((len(numbers), *first.shape[1:]), first.dtype)
        for place in np.unique(owner):
            segment, mine = self.segments[place], owner == place
            gathered[mine] = segment.column(name).rows(numbers[mine] - segment.start)
        return gathered

    def decisions(self, numbers: Numbers) -> pl.DataFrame:
        """Return DECIDED rows of documents by number."""
        survivors = self.gather("survivors", numbers)
        dropped = survivors != numbers
        behind = survivors[dropped]
        agree, shared = self._likeness(numbers[dropped], behind)
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

    def _lasting_bridges(self, survivors: Numbers, gone: Numbers) -> Numbers:
        """Return the bridges that last when the clusters of these survivors are decided anew without those gone.

        Whoever made one stands behind its first survivor, and makes it again if that one's cluster is decided anew. Of the
        second one's cluster nothing but the survivor stays in its place, so whoever made the bridge must be like that.
        """
        first, second, between = self.bridges.T
        lasting = ~np.isin(first, survivors)
        asked = np.flatnonzero(lasting & np.isin(second, survivors))
        agree, shared = self._likeness(between[asked], second[asked])
        alike = (agree.sum(axis=1) >= self.least) & shared.any(axis=1)
        lasting[asked] = alike & ~np.isin(second[asked], gone)
        return self.bridges[lasting]

    def _likeness(self, left: Numbers, right: Numbers) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return in which places prints agree (pairs, places), and in which bands (pairs, bands)."""
        agree = self.gather("prints", left) == self.gather("prints", right)
        width = agree.shape[1] // self.bands
        return agree, agree[:, : self.bands * width].reshape(-1, self.bands, width).all(axis=2)

    def _settle(self, block: Block) -> tuple[Numbers, Numbers]:
        budget = budgets(block, self.compared)
        earlier = matches(block, self.segments, budget, least=self.least, threads=self.threads)
        return settle(block, self.size, earlier, least=self.least, compared=self.compared)

    def _merge(self) -> None:
        """Merge small segments, so that there are few: sizes fall at least by half from one to the next."""
        while len(self.segments) > 1:
            left, right = self.segments[-2:]
            count = left.count + right.count
            if left.count > 2 * right.count or count > self.segment_documents:
                return
            self.segments[-2:] = [merge_segments(self.folder, [left, right])]


def pieces(numbers: Numbers, most: int) -> Iterator[Numbers]:
    """Yield numbers in pieces of no more than `most`."""
    for start in range(0, len(numbers), most):
        yield numbers[start : start + most]


def spans(firsts: Numbers, sizes: Numbers) -> Numbers:
    """Return `sizes` numbers from each of the `firsts` on, in one array."""
    return np.repeat(firsts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())


def doc_ids(ids: npt.NDArray[np.uint8]) -> pl.Series:
    """Return (documents, 16) bytes as doc_ids, 32 hex digits each."""
    return to_binary("doc_id", ids).bin.encode("hex")

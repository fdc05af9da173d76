"""The index of a dedup group's passages: an `Index` of which each row is a document or one of its passages.

The model:
- Documents are decided in the order of their priority (see `settle`), each against the passages that documents
  before it hold. Whoever came into an earlier version stands before whoever comes now.
- The passages of a document that goes hold nothing, so they have no key: only what is in the corpus can be found.
- When a document leaves, the first document that stays and has a passage of it becomes the passage's holder. Documents
  that had gone because of it are decided anew, after all that are there: so nothing is taken from a document that has it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup.index import Index, doc_ids, spans
from phoenix_assets.dedup.matching import matches
from phoenix_assets.dedup.passages.prints import COUNT, LETTERS, heads_of, rows_block
from phoenix_assets.dedup.passages.settle import settle_passages
from phoenix_assets.dedup.segments import GONE, NO_KEY, Block, Numbers, replace_survivors

KERNEL_VERSION: Final = "1"

BANDS: Final = 1
LOOKED_AT: Final = 4  # passages with a key: a hash of 128 bits is told from others with the same 64 by them

DECIDED: Final = pl.Schema(
    {
        "number": pl.Int64(),  # of the document's head in the index
        "doc_id": pl.String(),
        "kept": pl.Boolean(),
        "duplicate_of": pl.String(),  # doc_id of the document that has most of it, null when kept
        "similarity": pl.Float64(),  # share of its letters in duplicated passages
        "passages": pl.Int32(),  # that were compared
        "duplicated": pl.List(pl.Int32()),  # which of them are duplicates, from 0
        "holder": pl.List(
            pl.String()
        ),  # doc_id of the document that has each one; its own for what it repeats
        "holder_delivery": pl.List(pl.Int32()),  # number of the delivery of that document
        "behind": pl.List(pl.Int64()),  # number of the row that each one stands behind
    }
)


@dataclass(frozen=True)
class Revision:
    """Documents that were decided otherwise when others left."""

    decided: pl.DataFrame  # DECIDED
    deliveries: list[int]  # of every document whose decision or holder changed


def add(index: Index, blocks: Iterable[Block], *, max_share: float) -> int:
    """Decide blocks of new documents; return how many there were."""
    count = 0
    for block in blocks:
        heads = heads_of(block.prints)
        budget = np.full((BANDS, len(block)), LOOKED_AT, np.int32)
        earlier = matches(block, index.segments, budget, least=index.least, threads=index.threads)
        survivors = settle_passages(block, heads, index.size, earlier, max_share=max_share)
        goes = np.repeat(survivors[heads] < 0, np.diff(np.append(heads, len(block))))
        index.append(replace(block, keys=np.where(goes, NO_KEY, block.keys)), survivors)
        count += len(heads)
    return count


def take_out(index: Index, leaving: Numbers, *, max_share: float) -> Revision:
    """Take whole documents out, given by all their rows; decide anew what stood behind them."""
    if not len(leaving):
        return Revision(pl.DataFrame(schema=DECIDED), [])
    leaving = np.sort(leaving)
    freed = leaving[index.gather("survivors", leaving) == leaving]
    behind = np.setdiff1d(index.behind(freed), leaving)
    heads, rows = _documents_of(index, behind)
    before = decisions(index, rows)
    stays = index.gather("survivors", heads) == heads
    anew = _rows_of(index, heads[~stays])
    taking = np.setdiff1d(behind, anew)
    _, first, group = np.unique(index.gather("survivors", taking), return_index=True, return_inverse=True)
    gone = np.union1d(leaving, anew)
    _replace_survivors(
        index,
        np.concatenate([gone, taking]),
        np.concatenate([np.full(len(gone), GONE), taking[first][group]]),
    )
    start = index.size
    if len(anew):
        columns = (index.gather(name, anew) for name in ("ids", "deliveries", "prints"))
        add(index, [rows_block(*columns)], max_share=max_share)
    after = decisions(index, np.concatenate([np.setdiff1d(rows, anew), np.arange(start, index.size)]))
    homes = np.unique(index.gather("deliveries", heads)) if len(heads) else heads
    return Revision(_changed(before, after), homes.tolist())


def decisions(index: Index, numbers: Numbers) -> pl.DataFrame:
    """Return DECIDED rows of documents, given by all their rows in ascending order."""
    if not len(numbers):
        return pl.DataFrame(schema=DECIDED)
    prints, survivors = index.gather("prints", numbers), index.gather("survivors", numbers)
    heads = heads_of(prints)
    owner = np.repeat(np.arange(len(heads)), np.diff(np.append(heads, len(numbers))))
    dropped = (survivors >= 0) & (survivors != numbers)
    behind = survivors[dropped]
    passages = pl.DataFrame(
        {
            "document": owner[dropped],
            "duplicated": prints[dropped, COUNT].astype(np.int32) - 1,
            "letters": prints[dropped, LETTERS].astype(np.int64),
            "holder": doc_ids(index.gather("ids", behind)),
            "holder_delivery": index.gather("deliveries", behind),
            "behind": behind,
        }
    )
    documents = pl.DataFrame(
        {
            "document": np.arange(len(heads)),
            "number": numbers[heads],
            "doc_id": doc_ids(index.gather("ids", numbers[heads])),
            "kept": survivors[heads] == numbers[heads],
            "total": prints[heads, LETTERS].astype(np.int64),
            "passages": prints[heads, COUNT].astype(np.int32),
        }
    )
    return _decided(documents, passages)


def _decided(documents: pl.DataFrame, passages: pl.DataFrame) -> pl.DataFrame:
    lists = ("duplicated", "holder", "holder_delivery", "behind")
    of_each = passages.group_by("document", maintain_order=True).agg(*lists, pl.col("letters").sum())
    most = (
        passages.join(documents.select("document", "doc_id"), on="document")
        .filter(pl.col("holder") != pl.col("doc_id"))
        .group_by("document", "holder")
        .agg(pl.col("letters").sum(), pl.col("behind").min())
        .sort("document", "letters", "behind", descending=[False, True, False])
        .group_by("document", maintain_order=True)
        .agg(duplicate_of=pl.col("holder").first())
    )
    return (
        documents.join(of_each, on="document", how="left", maintain_order="left")
        .join(most, on="document", how="left", maintain_order="left")
        .with_columns(
            pl.col(*lists).fill_null([]),
            duplicate_of=pl.when(~pl.col("kept")).then("duplicate_of"),
            similarity=pl.when(pl.col("total") > 0)
            .then(pl.col("letters").fill_null(0) / pl.col("total"))
            .otherwise(0.0),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in DECIDED.items())
    )


def whole_documents(index: Index, numbers: Numbers) -> Numbers:
    """Return all rows of the documents whose heads are among these: a document can go on in the next segment."""
    return _rows_of(index, numbers[heads_of(index.gather("prints", numbers))])


def _documents_of(index: Index, rows: Numbers) -> tuple[Numbers, Numbers]:
    """Return the heads of the documents that have these passages, and all rows of those documents."""
    if not len(rows):
        return rows, rows
    heads = np.unique(rows - index.gather("prints", rows)[:, COUNT].astype(np.int64))
    return heads, _rows_of(index, heads)


def _rows_of(index: Index, heads: Numbers) -> Numbers:
    """Return all rows of documents, ascending."""
    if not len(heads):
        return heads
    return spans(heads, index.gather("prints", heads)[:, COUNT].astype(np.int64) + 1)


def _replace_survivors(index: Index, numbers: Numbers, survivors: Numbers) -> None:
    for place, segment in enumerate(index.segments):
        mine = (numbers >= segment.start) & (numbers < segment.start + segment.count)
        if mine.any():
            column = np.array(segment.survivors)
            column[numbers[mine] - segment.start] = survivors[mine]
            path = index.folder / f"{segment.name}-survivors.npy"
            index.segments[place] = replace_survivors(path, segment, column)


def _changed(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `after` in which something else is decided, or stands behind another document."""
    said = ("doc_id", "kept", "duplicate_of", "duplicated", "holder")
    digests = (frame.select(*said).hash_rows() for frame in (before, after))
    return after.filter(
        ~pl.Series(list(digests)[1]).is_in(pl.Series(before.select(*said).hash_rows()).implode())
    )

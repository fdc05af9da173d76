"""Make a damaged index of passages again, with just the decisions that stand: from their table and from the prints.

As `restore` for documents: every row gets the number that it had and stands behind what it stood behind.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup.candidates import DeliveryInput, Sorting, decided_documents
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.passages.prints import blocks, heads_of
from phoenix_assets.dedup.passages.settle import NOTHING
from phoenix_assets.dedup.restore import put_back, require_prints
from phoenix_assets.dedup.segments import NO_KEY, Block, Numbers

KERNEL_VERSION: Final = "1"


def restore_passages(
    index: Index,
    size: int,
    decisions: Sequence[Path],
    deliveries: Sequence[DeliveryInput],
    sorting: Sorting,
    block_passages: int,
) -> None:
    """Put the documents in the files of `decisions` back into the empty `index`, which had given out `size` numbers.

    `deliveries` are those that were decided, their place is their number. Raises LineageError when a decided document
    has no prints any more.
    """
    files = [str(path) for path in decisions]
    for documents in decided_documents(list(enumerate(deliveries)), decisions, "prints", sorting):
        require_prints(documents)
        mine = pl.col("doc_id").is_in(documents["doc_id"].implode())
        table = pl.scan_parquet(files, hive_partitioning=False).filter(mine)
        verdicts = table.select("doc_id", "kept", "duplicated", "behind").collect()
        rows = documents.join(verdicts, on="doc_id", how="left", maintain_order="left")
        done = 0
        for block in blocks([rows], block_passages):
            count = len(heads_of(block.prints))
            block, numbers, survivors = _placed(block, rows.slice(done, count))
            put_back(index, block, numbers, survivors, int(numbers[-1]) + 1, block_passages, index.append)
            done += count
    if index.size:
        put_back(index, block, numbers, survivors, size, block_passages, index.append)


def _placed(block: Block, documents: pl.DataFrame) -> tuple[Block, Numbers, Numbers]:
    """Return the rows of documents, the numbers that they had, and what they stood behind."""
    heads = heads_of(block.prints)
    sizes = np.diff(np.append(heads, len(block)))
    numbers = np.repeat(documents["number"].to_numpy() - heads, sizes) + np.arange(len(block))
    went = np.repeat(~documents["kept"].to_numpy(), sizes)
    survivors = np.where(went, NOTHING, numbers)
    counts = documents["duplicated"].list.len().to_numpy()
    places = documents["duplicated"].list.explode(keep_nulls=False, empty_as_null=False).to_numpy()
    behind = documents["behind"].list.explode(keep_nulls=False, empty_as_null=False).to_numpy()
    survivors[np.repeat(heads, counts) + 1 + places] = behind
    return replace(block, keys=np.where(went, NO_KEY, block.keys)), numbers, survivors

"""Which documents are one cluster: those that stand behind a survivor, and survivors that a bridge joins.

Whoever was kept stays kept (see `settle`), so a cluster can have several survivors.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from phoenix_assets.dedup.segments import Numbers

KERNEL_VERSION: Final = "1"

CLUSTERS: Final = pl.Schema(
    {
        "survivor": pl.String,  # doc_id; one row each
        "cluster": pl.String,  # the survivor that came first in it
        "copies": pl.Int64,  # documents in the cluster, its survivors among them
    }
)
_SINGLE: Final = 4  # cluster sizes up to it are counted one by one, larger ones in ranges that double


def clusters(decisions: pl.DataFrame, bridges: Numbers) -> pl.DataFrame:
    """Return CLUSTERS of one index: DECISION rows, and (bridges, 2) numbers of survivors whose clusters are one.

    Of kept documents only those that a bridge names need to be among the rows; a bridge to a document that is not
    there any more joins nothing.
    """
    behind = decisions.filter(pl.col("duplicate_of").is_not_null())
    dropped = behind.group_by(survivor="duplicate_of").agg(dropped=pl.len().cast(pl.Int64))
    ends = decisions.filter(pl.col("duplicate_of").is_null()).select("number", survivor="doc_id")
    joined = _joined(ends, bridges)
    both = dropped.join(joined, on="survivor", how="full", coalesce=True).with_columns(
        pl.col("dropped").fill_null(0), pl.col("cluster").fill_null(pl.col("survivor"))
    )
    return (
        both.with_columns(copies=(pl.col("dropped") + 1).sum().over("cluster"))
        .filter(pl.col("copies") > 1)
        .select(pl.col(name).cast(dtype) for name, dtype in CLUSTERS.items())
        .sort("survivor")
    )


def cluster_sizes(found: pl.DataFrame) -> dict[str, int]:
    """Return how many clusters have how many documents, in words that people read; large ones in ranges."""
    sizes = found.select("cluster", "copies").unique()["copies"].to_numpy()
    if not len(sizes):
        return {}
    return {
        f"{low} copies" if low == high else f"{low}–{high} copies": int(
            ((sizes >= low) & (sizes <= high)).sum()
        )
        for low, high in _ranges(int(sizes.max()))
    }


def _joined(ends: pl.DataFrame, bridges: Numbers) -> pl.DataFrame:
    """Return survivor and cluster of the survivors (number, survivor) that bridges join."""
    ends = ends.filter(pl.col("number").is_in(np.unique(bridges))).sort("number")
    numbers = ends["number"].to_numpy()
    present = bridges[np.isin(bridges, numbers).all(axis=1)]
    left, right = np.searchsorted(numbers, present).T
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(len(numbers), len(numbers)))
    _, labels = connected_components(graph, directed=False) if len(numbers) else (0, np.empty(0, np.int32))
    labelled = ends.with_columns(label=pl.Series(labels))
    return labelled.select("survivor", cluster=pl.col("survivor").first().over("label"))


def _ranges(largest: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of sizes, from two up to the largest."""
    low = 2
    while low <= largest:
        high = low if low <= _SINGLE else 2 * (low - 1)
        yield low, high
        low = high + 1

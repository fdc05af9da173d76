"""Which pairs of a kept and a dropped document are looked at: the same ones each time, and not only the usual ones.

doc_ids are hashes, so the smallest ones are a draw.
"""

from typing import Final

import polars as pl

KERNEL_VERSION: Final = "1"


def spread_over_similarity(dropped: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return `count` rows (doc_id, similarity, …), evenly from the whole range of similarities, the least alike first."""
    low, high = dropped["similarity"].min(), dropped["similarity"].max()
    if low is None or high is None:
        return dropped
    width = (float(high) - float(low)) / count or 1.0  # type: ignore[arg-type]
    part = ((pl.col("similarity") - low) / width).floor().clip(upper_bound=count - 1)
    return (
        dropped.with_columns(part=part)
        .with_columns(turn=pl.col("doc_id").rank("ordinal").over("part"))
        .sort("turn", "part")
        .head(count)
        .sort("similarity", "doc_id")
        .drop("part", "turn")
    )


def least_alike_of_largest(dropped: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return of each of the `count` largest clusters (cluster, copies) the row least like its survivor, largest first."""
    return (
        dropped.sort("similarity", "doc_id")
        .unique("cluster", keep="first", maintain_order=True)
        .sort("copies", "cluster", descending=[True, False])
        .head(count)
    )


def similarities(dropped: pl.DataFrame, step: float) -> dict[str, int]:
    """Return how many documents are how alike to what they stand behind, in ranges of `step`, the most alike first."""
    place = (pl.col("similarity") / step + 1e-9).floor()  # a value at a boundary belongs to the range above
    counted = dropped.select(place=place.cast(pl.Int64)).group_by("place").len()
    counts = dict(counted.drop_nulls().iter_rows())
    if not counts:
        return {}
    digits = max(2, len(f"{step:.6f}".rstrip("0").partition(".")[2]))
    return {
        f"{place * step:.{digits}f}": counts.get(place, 0)
        for place in range(max(counts), min(counts) - 1, -1)
    }

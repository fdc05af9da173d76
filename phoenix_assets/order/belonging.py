"""What documents belong to: the book, the repository or whatever else a field of theirs names, and their order in it."""

from collections.abc import Iterable
from typing import Final

import polars as pl

from phoenix_assets.order.stream import Belonging

KERNEL_VERSION: Final = "1"

BELONGING: Final = pl.Schema({"doc_id": pl.String, "whole": pl.String, "rank": pl.Int64})

_META: Final = "meta."
_PLACES: Final = ("position", "chapter")  # fields of `meta` that say where in its file a document stands


def belonging(documents: pl.LazyFrame, by: str) -> pl.LazyFrame:
    """Return a BELONGING row for each document that belongs to something.

    `documents` has doc_id, source, delivery, locator and meta. `by` is `file` (the delivered file), `delivery`
    or `meta.<field>`; a document without that field belongs to nothing. Within it, documents have the order
    of their file: by the place that their `meta` states, else by the number at the end of their locator.
    """
    file = pl.col("locator").str.extract(r"^([^#]*)", 1)
    names = {
        "file": pl.concat_str("source", "delivery", file, separator="\0"),
        "delivery": pl.concat_str("source", "delivery", separator="\0"),
    }
    stated = [
        pl.col("meta").str.json_path_match(f"$.{field}").cast(pl.Int64, strict=False) for field in _PLACES
    ]
    numbered = pl.col("locator").str.extract(r"(\d+)$", 1).cast(pl.Int64, strict=False)
    place = pl.struct(file, pl.coalesce(*stated, numbered).alias("place"), pl.col("locator").alias("last"))
    whole = names.get(by, pl.col("meta").str.json_path_match(f"$.{by.removeprefix(_META)}"))
    return (
        documents.select("doc_id", whole=whole, place=place)
        .drop_nulls("whole")
        .select("doc_id", "whole", rank=pl.col("place").rank("ordinal").over("whole").cast(pl.Int64))
    )


def of_rows(doc_ids: Iterable[pl.Series], found: pl.DataFrame) -> Belonging:
    """Return BELONGING rows as columns beside `doc_ids`, the ids of the rows of a trace index, shard by shard."""
    numbers = found.select(
        "doc_id", pl.col("rank").cast(pl.Int32), number=pl.col("whole").rank("dense").cast(pl.Int32) - 1
    )
    empty = pl.DataFrame(schema={"number": pl.Int32, "rank": pl.Int32})
    parts = [
        ids.to_frame("doc_id")
        .join(numbers, on="doc_id", how="left", maintain_order="left")
        .select(empty.columns)
        for ids in doc_ids
    ]
    joined = pl.concat([empty, *parts])
    return Belonging(
        whole=joined["number"].fill_null(-1).to_numpy(), rank=joined["rank"].fill_null(0).to_numpy()
    )

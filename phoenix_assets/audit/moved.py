"""Which documents are in one version of data and not in the other, or are another text in it, and what moved them.

A document that is in neither stage's ledger for its drop is one whose delivery came, went or was replaced.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import polars as pl

from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import Stage
from resources.lake import Lake

_MOVED: Final = pl.Schema({"doc_id": pl.String, "stage": pl.String, "reason": pl.String})
_CONTENT: Final = (
    "text",
    "copies",
    "component",
    "split",
)  # by which a document is another one, where there is such a column
_EXAMPLES: Final = 5
_DELIVERY: Final = "the delivery itself"

Sides = tuple[Sequence[StoredRecord], Sequence[StoredRecord]]


def moved_documents(lake: Lake, starts: Sides, sides: Sides) -> dict[str, Any]:
    """Return the documents `in` and `out`, by stage and reason, and the number `changed`, from the first to the second.

    `starts` are the versions that are compared, `sides` all that stands behind each. Of a checkpoint the documents of
    its mixture are compared. It is None for data that holds no documents.
    """
    tables = [_tables(start, side) for start, side in zip(starts, sides, strict=True)]
    if not all(tables):
        return {"compared": None, "in": [], "out": [], "changed": 0}
    first, second = _different(*tables)
    before, after = (_documents(lake, records) for records in (first, second))
    came = after.join(before, on="doc_id", how="anti").select("doc_id")
    went = before.join(after, on="doc_id", how="anti").select("doc_id")
    both = before.join(after, on="doc_id", suffix="_after")
    return {
        "compared": sorted({stored.record.asset for records in tables for stored in records}),
        "same": sum(one.record.counts["rows_out"] for one in tables[0] if one not in first)
        + int((both["content"] == both["content_after"]).sum()),
        "changed": int((both["content"] != both["content_after"]).sum()),
        "in": _why(lake, came, sides[0], sides[1]),
        "out": _why(lake, went, sides[1], sides[0]),
    }


def _tables(start: Sequence[StoredRecord], side: Sequence[StoredRecord]) -> list[StoredRecord]:
    """Return the records whose rows are the documents of what is compared."""
    if any(SideTable.LEDGER in stored.record.side_tables and not _is_raw(stored) for stored in start):
        return list(start)
    return [stored for stored in side if stored.record.asset.startswith("mix/")][-1:]


def _is_raw(stored: StoredRecord) -> bool:
    return stored.record.asset.endswith(f"/{Stage.RAW}")


def _different(
    first: Sequence[StoredRecord], second: Sequence[StoredRecord]
) -> tuple[list[StoredRecord], list[StoredRecord]]:
    """Leave out the partitions that have one content on both sides."""
    versions = [{(one.record.partition, one.record.data_version) for one in side} for side in (first, second)]
    common = versions[0] & versions[1]
    left = (
        [one for one in side if (one.record.partition, one.record.data_version) not in common]
        for side in (first, second)
    )
    return next(left), next(left)


def _documents(lake: Lake, records: Iterable[StoredRecord]) -> pl.DataFrame:
    """Return doc_id and a hash of the content of every document."""
    frames = [pl.LazyFrame(schema={"doc_id": pl.String, "content": pl.UInt64})]
    for stored in records:
        rows = lake.read(stored.as_input())
        there = [name for name in _CONTENT if name in rows.collect_schema()]
        frames.append(
            rows.select("doc_id", content=pl.struct(there).hash(seed=0) if there else pl.lit(0, pl.UInt64))
        )
    return pl.concat(frames).collect(engine="streaming")


def _why(
    lake: Lake, moved: pl.DataFrame, there: Sequence[StoredRecord], here: Sequence[StoredRecord]
) -> list[dict[str, Any]]:
    """Return how many of the documents that one side lacks were dropped `there`, at which stage and why, most first.

    `here` is the side that has them: what is the same on both sides dropped nothing of it.
    """
    if moved.is_empty():
        return []
    same = {(one.record.asset, one.record.partition, one.record.data_version) for one in here}
    frames = [_MOVED.to_frame().lazy()]
    for stored in there:
        record = stored.record
        if (
            SideTable.LEDGER in record.side_tables
            and (record.asset, record.partition, record.data_version) not in same
        ):
            dropped = lake.read(record.side_tables[SideTable.LEDGER]).filter(~pl.col("kept"))
            frames.append(dropped.select("doc_id", "stage", reason="drop_reason"))
    found = (
        pl.concat(frames)
        .join(moved.lazy(), on="doc_id", how="semi")
        .unique("doc_id")
        .collect(engine="streaming")
    )
    reasons = moved.join(found, on="doc_id", how="left").with_columns(
        pl.col("stage").fill_null(Stage.RAW.value), pl.col("reason").fill_null(_DELIVERY)
    )
    counted = reasons.group_by("stage", "reason").agg(
        documents=pl.len(), examples=pl.col("doc_id").sort().head(_EXAMPLES)
    )
    return counted.sort("documents", "stage", "reason", descending=[True, False, False]).to_dicts()

"""What a corrected delivery changed: rows of the version before and of the new one, side by side."""

from collections.abc import Iterable, Mapping
from typing import Final

import dagster as dg
import polars as pl

from phoenix_assets.lineage import StoredRecord
from resources.lake import Lake
from resources.report import sample_table

_NAMED: Final = 20  # rows of the table that people see
_DOCUMENT: Final = ("url", "title", "text", "meta")
Shown = Mapping[str, dg.MetadataValue | str | int | float]


def changed_files(lake: Lake, before: StoredRecord | None, after: StoredRecord) -> Shown:
    """Return how many files were added, removed and changed, and some of them; nothing for the first version."""
    return _shown("files", lake, before, after, "file", ["sha256"])


def changed_documents(lake: Lake, before: StoredRecord | None, after: StoredRecord) -> Shown:
    """Return how many documents were added, removed and changed, and where; nothing for the first version.

    A document is the record at its place in its file: one that moved is one less there, and one more here.
    """
    return _shown("documents", lake, before, after, "locator", _DOCUMENT)


def compared(before: pl.LazyFrame, after: pl.LazyFrame, name: str, content: Iterable[str]) -> pl.DataFrame:
    """Return (`name`, change) of the rows that differ: added, removed or changed, in name order.

    Only a hash of each row's `content` is held.
    """
    rows = [
        frame.select(name, pl.struct(*content).hash().alias(column))
        for frame, column in ((before, "was"), (after, "is"))
    ]
    change = (
        pl.when(pl.col("was").is_null())
        .then(pl.lit("added"))
        .when(pl.col("is").is_null())
        .then(pl.lit("removed"))
        .otherwise(pl.lit("changed"))
    )
    return (
        rows[0]
        .join(rows[1], on=name, how="full", coalesce=True)
        .filter(pl.col("was").ne_missing(pl.col("is")))
        .select(name, change=change)
        .sort(name)
        .collect(engine="streaming")
    )


def _shown(
    what: str, lake: Lake, before: StoredRecord | None, after: StoredRecord, name: str, content: Iterable[str]
) -> Shown:
    if before is None:
        return {}
    same = before.record.data_version == after.record.data_version
    was, now = lake.read(before.as_input()), lake.read(after.as_input())
    rows = None if same else compared(was, now, name, content)
    counted = {} if rows is None else dict(rows["change"].value_counts().iter_rows())
    shown: dict[str, dg.MetadataValue | str | int | float] = {
        f"{what}_{change}": int(counted.get(change, 0)) for change in ("added", "removed", "changed")
    }
    if rows is not None and rows.height:
        shown[f"changed_{what}"] = sample_table(rows.head(_NAMED))
    return shown

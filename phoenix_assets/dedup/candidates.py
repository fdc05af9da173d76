"""The documents to be decided, read from Parquet in the order of their priority, however many there are.

DuckDB sorts them within a bound of memory, on disk where that is not enough. Of two documents the one from the better
source comes first, then the one of better quality, then the earlier delivered, then the lower doc_id.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

KERNEL_VERSION: Final = "1"


@dataclass(frozen=True)
class DeliveryInput:
    """One delivery as it is now: where its signatures are, and what the granularity before dropped of it."""

    source: str
    delivery: str
    rank: int  # of the source: 0 is the best
    version: str  # of everything that is read here: equal exactly when the content is
    signatures: tuple[Path, ...]
    decisions: tuple[Path, ...] = ()  # of the granularity before

    @property
    def name(self) -> tuple[str, str]:
        """Source and delivery."""
        return self.source, self.delivery


@dataclass(frozen=True)
class Sorting:
    """How candidates are sorted: within which memory, where, and in blocks of how many documents."""

    memory: str  # as DuckDB reads it: 2GiB
    folder: Path
    block_documents: int


_SELECT: Final = """
select s.doc_id, s.lang, s.{column} as print, f.number::int as delivery_number
from read_parquet(?, filename = true, hive_partitioning = false) s join files f on s.filename = f.path
where not exists (select 1 from dropped d where d.doc_id = s.doc_id)
    and (f.number not in (select number from partly) or s.doc_id in (select doc_id from wanted))
order by f.rank, s.quality desc nulls last, s.received, f.source, f.delivery, s.doc_id
"""


def candidates(
    deliveries: Sequence[tuple[int, DeliveryInput]],
    column: str,
    sorting: Sorting,
    *,
    chosen: pl.DataFrame | None = None,
    partly: Sequence[int] = (),
) -> Iterator[pl.DataFrame]:
    """Yield the documents of numbered deliveries by priority: doc_id, lang, print, delivery_number.

    Of the deliveries with the numbers `partly`, only the doc_ids in `chosen` come.
    """
    paths = [
        (str(path), number, one.source, one.delivery, one.rank)
        for number, one in deliveries
        for path in one.signatures
    ]
    if not paths:
        return
    decided = [str(path) for _, one in deliveries for path in one.decisions]
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{sorting.memory}'")
        connection.execute(f"set temp_directory = '{sorting.folder}'")
        files = pl.DataFrame(paths, schema=["path", "number", "source", "delivery", "rank"], orient="row")
        wanted = pl.DataFrame(schema={"doc_id": pl.String}) if chosen is None else chosen.select("doc_id")
        some = pl.DataFrame({"number": list(partly)}, schema={"number": pl.Int64})
        connection.register("files", files.to_arrow())
        connection.register("wanted", wanted.to_arrow())
        connection.register("partly", some.to_arrow())
        connection.execute("create temp table dropped (doc_id varchar)")
        if decided:
            connection.execute(
                "insert into dropped select doc_id from read_parquet(?, hive_partitioning = false) where not kept",
                [decided],
            )
        connection.execute(_SELECT.format(column=column), [[path for path, *_ in paths]])
        yield from _blocks(connection, sorting.block_documents)


def _blocks(connection: duckdb.DuckDBPyConnection, size: int) -> Iterator[pl.DataFrame]:
    """Yield the rows of the query that ran, `size` at a time, the last ones fewer."""
    waiting = pl.DataFrame()
    for batch in connection.to_arrow_reader(size):  # type: ignore[union-attr]
        waiting = pl.concat([waiting, pl.DataFrame(pl.from_arrow(batch))], how="diagonal")
        while waiting.height >= size:
            yield waiting.head(size)
            waiting = waiting.slice(size)
    if waiting.height:
        yield waiting

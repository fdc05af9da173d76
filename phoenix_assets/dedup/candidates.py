"""The documents to be decided, read from Parquet in the order of their priority, however many there are.

Of two documents the one from the better source comes first, then the one of better quality, then the earlier delivered,
then the lower doc_id. Few are sorted by Polars, which starts at once; more than memory is meant for by DuckDB, on disk.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pyarrow.parquet as pq

from phoenix_assets.dedup.binary import reordered

KERNEL_VERSION: Final = "2"


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

    @property
    def bytes(self) -> int:
        """How much `memory` is."""
        return int(self.memory[:-3]) * _UNITS[self.memory[-3:]]

    @property
    def threads(self) -> int:
        """With how many threads; each of them needs memory of its own."""
        return max(1, min(os.cpu_count() or 1, self.bytes // _MEMORY_OF_A_THREAD))


_UNITS: Final = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_MEMORY_OF_A_THREAD: Final = 128 * 2**20
_IN_MEMORY: Final = 4  # times the size of its encoded columns is what is sorted in memory, at most
_BEST_FIRST: Final = {  # descending or not, nulls last: what `_SELECT` says
    "rank": False, "quality": True, "received": False, "source": False, "delivery": False, "doc_id": False,
}  # fmt: skip
_SELECT: Final = """
select s.doc_id, s.lang, s.{column} as print, f.number::int as delivery_number
from read_parquet(?, filename = true, hive_partitioning = false) s join files f on s.filename = f.path
where not exists (select 1 from dropped d where d.doc_id = s.doc_id)
    and (f.number not in (select number from partly) or s.doc_id in (select doc_id from wanted))
order by f.rank, s.quality desc nulls last, s.received, f.source, f.delivery, s.doc_id
"""
_DECIDED: Final = """
with decided as (from read_parquet(?, hive_partitioning = false))
select k.doc_id, k.number, coalesce(b.number, k.number) as survivor, s.lang, s.{column} as print,
    f.number::int as delivery_number
from decided k
left join decided b on b.doc_id = k.duplicate_of
left join read_parquet(?, filename = true, hive_partitioning = false) s on s.doc_id = k.doc_id
left join files f on s.filename = f.path
order by k.number
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
    paths = _signature_paths(deliveries)
    if not paths:
        return
    wanted = pl.DataFrame(schema={"doc_id": pl.String}) if chosen is None else chosen.select("doc_id")
    if _fits(paths, sorting.bytes // _IN_MEMORY):
        blocks = [*_sorted(deliveries, column, wanted, partly).iter_slices(sorting.block_documents)]
        while blocks:
            yield blocks.pop(0)  # nothing here holds on to a block
        return
    decided = [str(path) for _, one in deliveries for path in one.decisions]
    with _database(deliveries, sorting) as connection:
        some = pl.DataFrame({"number": list(partly)}, schema={"number": pl.Int64})
        connection.register("wanted", wanted.to_arrow())
        connection.register("partly", some.to_arrow())
        connection.execute("create temp table dropped (doc_id varchar)")
        if decided:
            connection.execute(
                "insert into dropped select doc_id from read_parquet(?, hive_partitioning = false) where not kept",
                [decided],
            )
        sorted_rows = connection.sql(_SELECT.format(column=column), params=[paths])
        yield from _blocks(sorted_rows, sorting.block_documents)


def decided_documents(
    deliveries: Sequence[tuple[int, DeliveryInput]], decisions: Sequence[Path], column: str, sorting: Sorting
) -> Iterator[pl.DataFrame]:
    """Yield the documents in files of decisions by number: doc_id, number, survivor, lang, print, delivery_number.

    `delivery_number` is null where no delivery has a signature of the document.
    """
    if not decisions:
        return
    with _database(deliveries, sorting) as connection:
        files = [str(path) for path in decisions]
        query = _DECIDED.format(column=column)
        sorted_rows = connection.sql(query, params=[files, _signature_paths(deliveries)])
        yield from _blocks(sorted_rows, sorting.block_documents)


def _signature_paths(deliveries: Sequence[tuple[int, DeliveryInput]]) -> list[str]:
    return [str(path) for _, one in deliveries for path in one.signatures]


def _fits(paths: Sequence[str], size: int) -> bool:
    """Return whether files are no larger than so many bytes, uncompressed."""
    for path in paths:
        metadata = pq.read_metadata(path)
        size -= sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        if size < 0:
            return False
    return True


def _sorted(
    deliveries: Sequence[tuple[int, DeliveryInput]], column: str, wanted: pl.DataFrame, partly: Sequence[int]
) -> pl.DataFrame:
    """Return what `candidates` yields, in one frame.

    Prints are read last, file by file into their places, so that there is no second copy of them in memory.
    """
    decisions = [path for _, one in deliveries for path in one.decisions]
    dropped = [_read(path, ["doc_id", "kept"]).filter(~pl.col("kept")) for path in decisions]
    frames, height = [], 0
    for number, one in deliveries:
        for path in one.signatures:
            rows = _read(path, ["doc_id", "lang", "quality", "received", column]).select(
                pl.exclude(column), size=pl.col(column).bin.size(), row=pl.int_range(height, height + pl.len()),
                delivery_number=pl.lit(number, pl.Int32),
                rank=pl.lit(one.rank), source=pl.lit(one.source), delivery=pl.lit(one.delivery),
            )  # fmt: skip
            height += rows.height
            frames.append(rows.join(wanted, on="doc_id", how="semi") if number in partly else rows)
    rows = pl.concat(frames)
    if dropped:
        rows = rows.join(pl.concat(dropped), on="doc_id", how="anti")
    in_order = rows.sort(*_BEST_FIRST, descending=list(_BEST_FIRST.values()), nulls_last=True)
    files = (_read(Path(path), [column])[column] for path in _signature_paths(deliveries))
    prints = reordered("print", files, in_order["row"].to_numpy(), in_order["size"])
    return in_order.select("doc_id", "lang", prints, "delivery_number")


def _read(path: Path, columns: list[str]) -> pl.DataFrame:
    return pl.read_parquet(path, columns=columns, hive_partitioning=False, parallel="none", low_memory=True)


@contextmanager
def _database(
    deliveries: Sequence[tuple[int, DeliveryInput]], sorting: Sorting
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database with the table `files` of the deliveries' signatures, within the bounds of `sorting`."""
    rows = [
        (str(path), number, one.source, one.delivery, one.rank)
        for number, one in deliveries
        for path in one.signatures
    ]
    files = pl.DataFrame(rows, schema=["path", "number", "source", "delivery", "rank"], orient="row")
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{sorting.memory}'")
        connection.execute(f"set threads = {sorting.threads}")
        connection.execute("set enable_progress_bar = false")
        connection.execute(f"set temp_directory = '{sorting.folder}'")
        connection.register("files", files.to_arrow())
        yield connection


def _blocks(rows: duckdb.DuckDBPyRelation, size: int) -> Iterator[pl.DataFrame]:
    """Yield the rows of a query, `size` at a time, the last ones fewer."""
    waiting = pl.DataFrame()
    for batch in rows.to_arrow_reader(size):
        waiting = pl.concat([waiting, pl.DataFrame(pl.from_arrow(batch))], how="diagonal")
        while waiting.height >= size:
            yield waiting.head(size)
            waiting = waiting.slice(size)
    if waiting.height:
        yield waiting

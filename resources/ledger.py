"""The lineage ledger: every record of every table in the lake, in one DuckDB file that can always be rebuilt.

The truth is in the tables' commits. `refresh` reads the commits that the ledger has not seen yet, so a crash between
a commit and its indexing heals at the next read, and `rebuild` from nothing gives the same rows.
"""

import contextlib
import fcntl
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import duckdb

from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import UNPARTITIONED, InputVersion, StoredRecord
from resources.lake import Lake

_SCHEMA = """
create table if not exists records (
    record_id varchar primary key, asset varchar, partition varchar, data_version varchar,
    storage_version bigint, code_version varchar, config_digest varchar, config json, counts json, reasons json,
    licences json, run_id varchar, started varchar, finished varchar, body json
);
create table if not exists inputs (
    record_id varchar, position integer, asset varchar, partition varchar, data_version varchar,
    storage_version bigint
);
create table if not exists tables (asset varchar primary key, table_id varchar, storage_version bigint);
create or replace view heads as
    select * from records
    qualify row_number() over (partition by asset, partition order by storage_version desc) = 1;
"""


class LineageLedger:
    """An index over the lake's lineage records. Safe for several processes: each opens the file under a lock."""

    def __init__(self, lake: Lake, path: Path | None = None) -> None:
        self.lake = lake
        self.path = path or lake.home / "lineage.duckdb"
        self._known: dict[
            InputVersion, StoredRecord
        ] = {}  # records never change: what was read is not read again

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the ledger exclusively; other processes wait."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with duckdb.connect(str(self.path)) as connection:
                connection.execute(_SCHEMA)
                yield connection

    def refresh(self, assets: Iterable[str] | None = None) -> int:
        """Index the commits not seen yet of `assets` (default: of every table); return how many were new."""
        with self.connect() as connection:
            return sum(self._index(connection, asset) for asset in (assets or self._assets(connection)))

    def rebuild(self) -> int:
        """Forget everything and index the whole lake again; return the number of records."""
        with self.connect() as connection:
            connection.execute("delete from records; delete from inputs; delete from tables")
        return self.refresh()

    def _assets(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Return every asset that has a table, or had one."""
        known = [str(row[0]) for row in connection.execute("select asset from tables").fetchall()]
        return sorted({*self.lake.assets(), *known})

    def _index(self, connection: duckdb.DuckDBPyConnection, asset: str) -> int:
        row = connection.execute(
            "select table_id, storage_version from tables where asset = ?", [asset]
        ).fetchone()
        known, last = (str(row[0]), int(row[1])) if row else ("", -1)
        table_id, newest = self.lake.table_id(asset), self.lake.version(asset)
        if (known, last) == (table_id, newest):
            return 0
        connection.execute("begin")
        if known != table_id or newest < last:  # another table: what was indexed is not there any more
            _forget(connection, asset)
            last = -1
        new = list(self.lake.records(asset, after=last))
        for stored in new:
            _insert(connection, stored)
        connection.execute("insert or replace into tables values (?, ?, ?)", [asset, table_id, newest])
        connection.execute("commit")
        return len(new)

    def heads(self, asset: str) -> dict[str, StoredRecord]:
        """Return the newest record of each partition of `asset` ("" for an unpartitioned one)."""
        return self.all_heads([asset]).get(asset, {})

    def all_heads(self, assets: Collection[str] | None = None) -> dict[str, dict[str, StoredRecord]]:
        """Return the newest record of each partition of `assets` (default: of all), opening the ledger once."""
        found: dict[str, dict[str, StoredRecord]] = {}
        with self.connect() as connection:
            for asset in self._assets(connection) if assets is None else assets:
                self._index(connection, asset)
            query = "select asset, partition, body, storage_version from heads"
            if assets is None:
                rows = connection.execute(query).fetchall()
            else:
                rows = connection.execute(f"{query} where list_contains(?, asset)", [list(assets)]).fetchall()
        for asset, partition, body, storage_version in rows:
            stored = StoredRecord(record=json.loads(body), storage_version=storage_version)
            found.setdefault(asset, {})[partition] = self._remember(stored)
        return found

    def _remember(self, stored: StoredRecord) -> StoredRecord:
        self._known[stored.as_input()] = stored
        return stored

    def head(self, asset: str, partition: str = UNPARTITIONED) -> StoredRecord | None:
        """Return the newest record of one partition, None when it was never materialised."""
        with self.connect() as connection:
            self._index(connection, asset)
            row = connection.execute(
                "select body, storage_version from heads where asset = ? and partition = ?",
                [asset, partition],
            ).fetchone()
        return None if row is None else StoredRecord(record=json.loads(row[0]), storage_version=row[1])

    def record_of(self, source: InputVersion) -> StoredRecord:
        """Return the record that an input reference points at. Raises LineageError when the lake has none."""
        return self.records_of([source])[0]

    def records_of(self, sources: Iterable[InputVersion]) -> list[StoredRecord]:
        """Return the record behind each input reference. Raises LineageError when the lake lacks one."""
        wanted = list(sources)
        missing = [source for source in wanted if source not in self._known]
        if missing:
            with self.connect() as connection:
                for asset in {source.asset for source in missing}:
                    self._index(connection, asset)
                self._known.update((source, _record_behind(connection, source)) for source in missing)
        return [self._known[source] for source in wanted]

    def resolve(self, asset: str, partition: str = UNPARTITIONED) -> InputVersion:
        """Return the exact current version of one partition. Raises LineageError when it was never materialised."""
        stored = self.head(asset, partition)
        if stored is None:
            name = f"{asset}[{partition}]" if partition else asset
            raise LineageError(f"{name} has not been materialised; materialise it first")
        return stored.as_input()


def _record_behind(connection: duckdb.DuckDBPyConnection, source: InputVersion) -> StoredRecord:
    row = connection.execute(
        "select body, storage_version from records where asset = ? and partition = ? and data_version = ? "
        "and storage_version <= ? order by storage_version desc limit 1",
        [source.asset, source.partition, source.data_version, source.storage_version],
    ).fetchone()
    if row is None:
        raise LineageError(
            f"{source.asset}[{source.partition}]: the lake has no record of data version {source.data_version} at "
            f"storage version {source.storage_version}; its table was replaced or removed"
        )
    return StoredRecord(record=json.loads(row[0]), storage_version=int(row[1]))


def _forget(connection: duckdb.DuckDBPyConnection, asset: str) -> None:
    connection.execute(
        "delete from inputs using records where records.record_id = inputs.record_id and records.asset = ?",
        [asset],
    )
    connection.execute("delete from records where asset = ?", [asset])


def _insert(connection: duckdb.DuckDBPyConnection, stored: StoredRecord) -> None:
    record = stored.record
    connection.execute(
        "insert or replace into records values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            record.record_id, record.asset, record.partition, record.data_version, stored.storage_version,
            record.code_version, record.config_digest, json.dumps(record.config), json.dumps(record.counts),
            json.dumps(record.reasons), json.dumps([term.model_dump() for term in record.licences]),
            record.run_id, record.started, record.finished, record.model_dump_json(),
        ],
    )  # fmt: skip
    for position, source in enumerate(record.inputs):
        connection.execute(
            "insert into inputs values (?, ?, ?, ?, ?, ?)",
            [record.record_id, position, source.asset, source.partition, source.data_version,
             source.storage_version],
        )  # fmt: skip

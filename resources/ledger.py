"""The lineage ledger: every record of every table in the lake, in one DuckDB file that can always be rebuilt.

The truth is in the tables' commits. `refresh` reads the commits that the ledger has not seen yet, so a crash between
a commit and its indexing heals at the next read, and `rebuild` from nothing gives the same rows.
"""

import contextlib
import fcntl
import json
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import UNPARTITIONED, InputVersion, LineageRecord, StoredRecord
from resources.delta_log import NO_TABLE, TableState
from resources.lake import Lake

_REMEMBERED: Final = 20_000  # records that an object keeps beside the newest ones: some 100 MB
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


@dataclass(frozen=True)
class _Heads:
    """The newest record of each partition of one asset, when its table was in `state`."""

    state: TableState
    records: dict[str, StoredRecord]


_NO_HEADS: Final = _Heads(NO_TABLE, {})


class LineageLedger:
    """An index over the lake's lineage records. Safe for several processes and threads: one at a time has it open.

    What one object has read it reads again only where the lake has changed since.
    """

    def __init__(self, lake: Lake, path: Path | None = None) -> None:
        self.lake = lake
        self.path = path or lake.home / "lineage.duckdb"
        self._known: dict[InputVersion, StoredRecord] = {}  # records never change
        self._heads: dict[str, _Heads] = {}
        self._turn = threading.RLock()  # of the threads of this process
        self._connection: duckdb.DuckDBPyConnection | None = None

    @contextlib.contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the ledger exclusively; others wait. What a thread asks within is asked of one connection."""
        with self._turn:
            if self._connection is not None:
                yield self._connection
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with duckdb.connect(str(self.path)) as connection:
                    connection.execute(_SCHEMA)
                    self._connection = connection
                    try:
                        yield connection
                    finally:
                        self._connection = None

    def refresh(self, assets: Iterable[str] | None = None) -> int:
        """Index the commits not seen yet of `assets` (default: of every table); return how many were new."""
        with self.connect() as connection:
            return self._index(connection, assets)

    def rebuild(self) -> int:
        """Forget everything and index the whole lake again; return the number of records."""
        with self.connect() as connection:
            connection.execute("delete from records; delete from inputs; delete from tables")
        self._heads.clear()
        return self.refresh()

    def _index(self, connection: duckdb.DuckDBPyConnection, assets: Iterable[str] | None) -> int:
        """Index what is new of `assets` (default: of all that have a table, or had one)."""
        rows = connection.execute("select asset, table_id, storage_version from tables").fetchall()
        indexed = {asset: TableState(table_id, version) for asset, table_id, version in rows}
        names = sorted({*self.lake.assets(), *indexed}) if assets is None else assets
        return sum(self._index_table(connection, name, indexed.get(name, NO_TABLE)) for name in names)

    def _index_table(self, connection: duckdb.DuckDBPyConnection, asset: str, indexed: TableState) -> int:
        state = self.lake.log(asset).state()
        if state == indexed:
            return 0
        connection.execute("begin")
        if not state.continues(indexed):
            _forget(connection, asset)
            indexed = NO_TABLE
        new = list(self.lake.records(asset, after=indexed.version))
        for stored in new:
            _insert(connection, stored)
        connection.execute("insert or replace into tables values (?, ?, ?)", [asset, *state])
        connection.execute("commit")
        return len(new)

    def heads(self, asset: str) -> dict[str, StoredRecord]:
        """Return the newest record of each partition of `asset` ("" for an unpartitioned one)."""
        return self.all_heads([asset]).get(asset, {})

    def all_heads(self, assets: Iterable[str] | None = None) -> dict[str, dict[str, StoredRecord]]:
        """Return the newest record of each partition of `assets` (default: of all), by asset."""
        states = {
            asset: self.lake.log(asset).state()
            for asset in (self.lake.assets() if assets is None else assets)
        }
        behind = {asset: state for asset, state in states.items() if state != self._seen(asset).state}
        if behind:
            self._catch_up(behind)
        return {asset: records for asset in states if (records := self._seen(asset).records)}

    def _seen(self, asset: str) -> _Heads:
        return self._heads.get(asset, _NO_HEADS)

    def _catch_up(self, behind: Mapping[str, TableState]) -> None:
        """Read the heads that are newer than what is held, up to these states of their tables at least."""
        held = {asset: self._seen(asset) for asset in behind}
        held |= {
            asset: _NO_HEADS for asset, state in behind.items() if not state.continues(held[asset].state)
        }
        with self.connect() as connection:
            self._index(connection, behind)
            newer = _heads_after(connection, {asset: one.state.version for asset, one in held.items()})
        for asset, one in held.items():
            # A new dictionary: somebody may hold the one before.
            self._heads[asset] = _Heads(behind[asset], {**one.records, **newer.get(asset, {})})

    def head(self, asset: str, partition: str = UNPARTITIONED) -> StoredRecord | None:
        """Return the newest record of one partition, None when it was never materialised."""
        if asset in self._heads:
            return self.heads(asset).get(partition)
        with self.connect() as connection:
            self._index(connection, [asset])
            row = connection.execute(
                "select body, storage_version from heads where asset = ? and partition = ?",
                [asset, partition],
            ).fetchone()
        return None if row is None else _stored(*row)

    def record_of(self, source: InputVersion) -> StoredRecord:
        """Return the record that an input reference points at. Raises LineageError when the lake has none."""
        return self.records_of([source])[0]

    def records_of(self, sources: Iterable[InputVersion]) -> list[StoredRecord]:
        """Return the record behind each input reference. Raises LineageError when the lake lacks one."""
        wanted = list(sources)
        found = {source: stored for source in wanted if (stored := self._recall(source)) is not None}
        missing = [source for source in wanted if source not in found]
        if missing:
            with self.connect() as connection:
                self._index(connection, {source.asset for source in missing})
                found.update(_records_behind(connection, missing))
        if len(self._known) + len(missing) > _REMEMBERED:
            self._known.clear()
        self._known.update((source, found[source]) for source in missing)
        return [found[source] for source in wanted]

    def history(self, assets: Collection[str], partition: str | None = None) -> list[StoredRecord]:
        """Return every record of `assets`, or those of one partition of each, newest first."""
        with self.connect() as connection:
            self._index(connection, assets)
            rows = connection.execute(
                "select body, storage_version from records where list_contains(?, asset) "
                "and partition = coalesce(?, partition) order by finished desc, record_id",
                [list(assets), partition],
            ).fetchall()
        return [_stored(*row) for row in rows]

    def readers_of(self, stored: Collection[StoredRecord]) -> list[StoredRecord]:
        """Return every record that names one of `stored` among its inputs, as far as `refresh` has seen."""
        places = [(one.record.asset, one.record.partition, one.record.data_version) for one in stored]
        with self.connect() as connection:
            rows = connection.execute(
                "select body, storage_version from records where record_id in (select record_id from inputs "
                "join (select unnest(?::varchar[]) as asset, unnest(?::varchar[]) as partition, "
                "unnest(?::varchar[]) as data_version) using (asset, partition, data_version)) "
                "order by finished, record_id",
                [list(column) for column in zip(*places, strict=True)],
            ).fetchall()
        return [_stored(*row) for row in rows]

    def _recall(self, source: InputVersion) -> StoredRecord | None:
        head = self._seen(source.asset).records.get(source.partition)
        return head if head is not None and head.as_input() == source else self._known.get(source)

    def resolve(self, asset: str, partition: str = UNPARTITIONED) -> InputVersion:
        """Return the exact current version of one partition. Raises LineageError when it was never materialised."""
        stored = self.head(asset, partition)
        if stored is None:
            name = f"{asset}[{partition}]" if partition else asset
            raise LineageError(f"{name} has not been materialised; materialise it first")
        return stored.as_input()


def _records_behind(
    connection: duckdb.DuckDBPyConnection, sources: list[InputVersion]
) -> Iterator[tuple[InputVersion, StoredRecord]]:
    columns = zip(
        *((one.asset, one.partition, one.data_version, one.storage_version) for one in sources), strict=True
    )
    rows = connection.execute(
        "select place, body, records.storage_version from records join (select unnest(?::bigint[]) as place, "
        "unnest(?::varchar[]) as asset, unnest(?::varchar[]) as partition, unnest(?::varchar[]) as data_version, "
        "unnest(?::bigint[]) as latest) using (asset, partition, data_version) "
        "where records.storage_version <= latest "
        "qualify row_number() over (partition by place order by records.storage_version desc) = 1",
        [list(range(len(sources))), *map(list, columns)],
    ).fetchall()
    found = {place: _stored(body, storage_version) for place, body, storage_version in rows}
    for place, source in enumerate(sources):
        if place not in found:
            raise LineageError(
                f"{source.asset}[{source.partition}]: the lake has no record of data version {source.data_version} at "
                f"storage version {source.storage_version}; its table was replaced or removed"
            )
        yield source, found[place]


def _heads_after(
    connection: duckdb.DuckDBPyConnection, since: Mapping[str, int]
) -> dict[str, dict[str, StoredRecord]]:
    """Return the newest record of each partition that was written after its asset's storage version in `since`."""
    rows = connection.execute(
        "select asset, partition, body, records.storage_version from records "
        "join (select unnest(?::varchar[]) as asset, unnest(?::bigint[]) as after) using (asset) "
        "where records.storage_version > after "
        "qualify row_number() over (partition by asset, partition order by records.storage_version desc) = 1",
        [list(since), list(since.values())],
    ).fetchall()
    found: dict[str, dict[str, StoredRecord]] = {}
    for asset, partition, body, storage_version in rows:
        found.setdefault(asset, {})[partition] = _stored(body, storage_version)
    return found


def _stored(body: str, storage_version: int) -> StoredRecord:
    return StoredRecord(record=LineageRecord.model_validate_json(body), storage_version=storage_version)


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
    inputs = record.inputs
    connection.execute(
        "insert into inputs select ?, unnest(range(?)), unnest(?::varchar[]), unnest(?::varchar[]), "
        "unnest(?::varchar[]), unnest(?::bigint[])",
        [record.record_id, len(inputs), [one.asset for one in inputs], [one.partition for one in inputs],
         [one.data_version for one in inputs], [one.storage_version for one in inputs]],
    )  # fmt: skip

"""The lake: one Delta table an asset, under `$PHOENIX_HOME/lake/<asset path>`.

Workers of any engine stage Parquet files; one commit makes them visible and replaces exactly one partition. The
commit carries the lineage record, so the lake can be audited with nothing but its own files. Assets that are
files rather than rows (models, token shards, checkpoints) are tables too: one row a file, the bytes beside them
under `_files/`.
"""

import contextlib
import json
import os
import secrets
import tempfile
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from phoenix_assets.config import digest
from phoenix_assets.content_hash import ContentHash, content_hash, file_sha256
from phoenix_assets.errors import LineageError, Overtaken, StorageError
from phoenix_assets.lineage import UNPARTITIONED, InputVersion, LineageRecord, StoredRecord
from resources.delta_log import DeltaLog

RECORD_KEY: Final = "phoenix.lineage"
FILES: Final = pl.Schema({"path": pl.String, "bytes": pl.Int64, "sha256": pl.String, "stored_at": pl.String})
_COMMIT_ATTEMPTS: Final = 100
_ROW_GROUP: Final = 16_384  # rows
_BACKOFF_MS: Final = 10  # at most, after the first conflict; 20 times as much after many
_TABLE_PROPERTIES: Final = {
    "delta.enableExpiredLogCleanup": "false"
}  # the log is the lineage: keep it for ever


def phoenix_home() -> Path:
    """Return `$PHOENIX_HOME`, by default `.phoenix` in the working directory, as an absolute path."""
    return Path(os.environ.get("PHOENIX_HOME", ".phoenix")).resolve()


@dataclass(frozen=True)
class StagedFile:
    """A Parquet file written beside a table and not yet visible in it."""

    path: str  # relative to the table
    rows: int
    bytes: int
    content: ContentHash
    partition: str = ""


@dataclass(frozen=True)
class Shard:
    """One Parquet file of an input, with the partition value that the file itself does not hold."""

    path: Path
    column: str | None
    partition: str

    def read(self) -> pl.DataFrame:
        """Return the shard's rows, the partition column included, last."""
        frame = pl.read_parquet(self.path, hive_partitioning=False)
        return frame if self.column is None else frame.with_columns(pl.lit(self.partition).alias(self.column))


def stage(table_dir: Path, frame: pl.DataFrame, *, column: str | None, partition: str) -> StagedFile:
    """Write `frame` as one zstd Parquet file of a partition; callable in any worker process.

    Of rows in the order of a column, a look-up by that column reads one small row group.
    """
    body = frame.drop(column) if column and column in frame.columns else frame
    content = content_hash(body)
    folder = f"{column}={partition}" if column else "data"
    relative = f"{folder}/part-{content.data_version}-{uuid.uuid4().hex[:8]}.parquet"
    path = table_dir / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        body.write_parquet(path, compression="zstd", statistics=True, row_group_size=_ROW_GROUP)
    except (OSError, pl.exceptions.ComputeError) as error:  # no room, most likely
        path.unlink(missing_ok=True)
        raise _unwritten(path, error) from error
    return StagedFile(relative, frame.height, path.stat().st_size, content, partition if column else "")


def _unwritten(path: Path, error: Exception) -> StorageError:
    return StorageError(f"{path} cannot be written: {error}; make room, for instance with `phoenix gc`")


def _create(path: str, schema: Schema, partition_by: list[str]) -> None:
    """Create a table; when another process is first, that one's table stands."""
    with contextlib.suppress(CommitFailedError):
        DeltaTable.create(
            path,
            schema,
            mode="ignore",
            partition_by=partition_by,
            configuration=_TABLE_PROPERTIES,
            commit_properties=CommitProperties(max_commit_retries=0),
        )


class Lake:
    """Reads and writes the tables of one `$PHOENIX_HOME`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "lake"

    def table_dir(self, asset: str) -> Path:
        """Return the folder of an asset's table."""
        return self.root / asset

    def assets(self, under: str = "") -> list[str]:
        """Return the asset path of every table in the lake, or of those whose path begins with `under`/, sorted."""
        found: list[str] = []
        for folder, names, _ in os.walk(self.root / under):
            if "_delta_log" in names:
                found.append(str(Path(folder).relative_to(self.root)))
                names.clear()  # a table holds no other: its partitions and files need no look
        return sorted(found)

    def assets_called(self, name: str) -> list[str]:
        """Return the asset paths `<source>/<name>` that have a table, sorted."""
        logs = self.root.glob(f"*/{name}/_delta_log")
        return sorted(f"{log.parent.parent.name}/{name}" for log in logs)

    def log(self, asset: str) -> DeltaLog:
        """Return the log of an asset's table."""
        return DeltaLog(self.table_dir(asset))

    def exists(self, asset: str) -> bool:
        """Return whether the asset has a table."""
        return self.log(asset).exists()

    def version(self, asset: str) -> int:
        """Return the table's newest storage version, -1 when there is no table."""
        return self.log(asset).version()

    def commit(
        self,
        asset: str,
        schema: pl.Schema,
        staged: Iterable[StagedFile],
        *,
        column: str | None,
        partitions: Collection[str],
        record: LineageRecord | None = None,
        after: int | None = None,
    ) -> int:
        """Replace partitions (or the whole unpartitioned table) in one commit; return its storage version.

        `partitions` are those that the staged files belong to, and those of which nothing is left. Raises Overtaken when
        the table is not at the storage version `after` any more (-1: there was none).
        """
        path = str(self.table_dir(asset))
        columns = dict(schema) | ({column: pl.String()} if column and column not in schema else {})
        delta_schema = Schema.from_arrow(
            pl.DataFrame(schema=columns).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        )
        partition_by = [column] if column else []
        if self.version(asset) < 0:
            _create(path, delta_schema, partition_by)
        now = int(time.time() * 1000)
        actions = [
            AddAction(
                file.path,
                file.bytes,
                {column: file.partition} if column else {},
                now,
                True,
                json.dumps({"numRecords": file.rows}),
            )
            for file in staged
        ]
        commit_id = uuid.uuid4().hex
        metadata = {"phoenix.commit": commit_id}
        if record is not None:
            metadata[RECORD_KEY] = record.model_dump_json()
        version = self._transact(path, actions, delta_schema, column, sorted(partitions), metadata, after)
        if self.log(asset).commit_info(version).get("phoenix.commit") != commit_id:
            raise LineageError(f"{asset}: commit {commit_id} is not version {version} of the table's log")
        return version

    def _transact(
        self,
        path: str,
        actions: list[AddAction],
        schema: Schema,
        column: str | None,
        partitions: list[str],
        metadata: dict[str, str],
        after: int | None,
    ) -> int:
        """Commit, again from the newest version while others get in between; return the version that it became.

        Delta Lake takes an overwrite for a read of the whole table, so that a commit to another partition is a conflict.
        """
        failed = 0
        while True:
            table = DeltaTable(path)
            before: int = table.version()
            if after is not None and before != max(after, 0):  # version 0 is the empty table
                raise Overtaken(
                    f"{path} is at version {before}, not {after} any more: start again from there"
                )
            try:
                table.create_write_transaction(
                    actions,
                    "overwrite",
                    schema,
                    [column] if column else [],
                    partition_filters=[(column, "in", partitions)] if column else None,
                    commit_properties=CommitProperties(custom_metadata=metadata, max_commit_retries=0),
                )
            except CommitFailedError:
                failed += 1
                if failed == _COMMIT_ATTEMPTS:
                    raise
                time.sleep(secrets.randbelow(_BACKOFF_MS * min(failed, 20)) / 1000)
            except OSError as error:  # no room, most likely
                raise _unwritten(Path(path), error) from error
            else:
                return before + 1  # without retries a commit is the next version or none

    def records(self, asset: str, after: int = -1) -> Iterator[StoredRecord]:
        """Yield the lineage records of commits with a storage version above `after`, oldest first."""
        for version in range(after + 1, self.version(asset) + 1):
            body = self.log(asset).commit_info(version).get(RECORD_KEY)
            if body is not None:
                record = LineageRecord.model_validate_json(body)
                yield StoredRecord(record=record, storage_version=version)

    def newest(self, asset: str) -> InputVersion:
        """Return the reference by which the whole table is read as it is now, whatever it holds."""
        return InputVersion(asset=asset, data_version="", storage_version=self.version(asset))

    def read(self, source: InputVersion) -> pl.LazyFrame:
        """Scan exactly the partition (or the whole table) and storage version that `source` names."""
        path = self.table_dir(source.asset)
        frame = pl.scan_delta(str(path), version=source.storage_version)
        column = self.partition_column(source.asset)
        if column is None or source.partition == UNPARTITIONED:
            return frame
        return frame.filter(pl.col(column) == source.partition)

    def read_commit(self, source: InputVersion) -> pl.LazyFrame:
        """Scan what the commit that `source` names wrote of its partition: what `read` gives when it wrote it whole.

        The table is not opened, which in a long one takes longer than reading a few rows.
        """
        log = self.log(source.asset)
        files = [self.table_dir(source.asset) / path for path in log.added(source.storage_version)]
        if not files:
            return self.read(source)
        frame = pl.scan_parquet(files, hive_partitioning=False)
        column = log.partition_column()
        return frame if column is None else frame.with_columns(pl.lit(source.partition).alias(column))

    def shards(self, source: InputVersion) -> list[Shard]:
        """Return the files of exactly the partition and storage version that `source` names, in stable order."""
        table = DeltaTable(str(self.table_dir(source.asset)), version=source.storage_version)
        columns = table.metadata().partition_columns
        column = columns[0] if columns else None
        actions = pl.DataFrame(table.get_add_actions(flatten=True))
        if column is None:
            actions = actions.with_columns(partition=pl.lit(UNPARTITIONED))
        else:
            actions = actions.with_columns(partition=f"partition.{column}")
            if source.partition != UNPARTITIONED:
                actions = actions.filter(pl.col("partition") == source.partition)
        files = actions.select("path", "partition").sort(
            "path"
        )  # begins with the content hash: a stable order
        return [
            Shard(self.table_dir(source.asset) / path, column, partition)
            for path, partition in files.iter_rows()
        ]

    def partition_column(self, asset: str) -> str | None:
        """Return the column by which the asset's table is partitioned, if any."""
        return self.log(asset).partition_column()

    def store_files(self, asset: str, folder: Path) -> pl.DataFrame:
        """Move the files below `folder` into the asset's `_files/<digest>/`, names kept; return FILES rows."""
        found = [
            (str(path.relative_to(folder)), path.stat().st_size, file_sha256(path))
            for path in sorted(item for item in folder.rglob("*") if item.is_file())
        ]
        stored = self.table_dir(asset) / "_files" / digest([list(row) for row in found])
        for name, _, _ in found:
            (stored / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).replace(stored / name)
        home = stored.relative_to(self.table_dir(asset))
        rows = [(name, size, checksum, str(home / name)) for name, size, checksum in found]
        return pl.DataFrame(rows, schema=FILES, orient="row")

    def scratch(self) -> tempfile.TemporaryDirectory[str]:
        """Return a temporary folder on the lake's own file system, for files on their way in."""
        folder = self.home / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=folder)

    def files_folder(self, source: InputVersion) -> Path:
        """Return the folder in which the files of a files asset lie. Raises LineageError when it has none."""
        row = self.read(source).select("path", "stored_at").first().collect()
        if row.is_empty():
            raise LineageError(f"{source.asset}: no files at version {source.storage_version}")
        path, stored_at = map(str, row.row(0))
        return self.table_dir(source.asset) / stored_at.removesuffix(path)

    def stored_file(self, source: InputVersion, name: str) -> Path:
        """Return the path of the file called `name` in a files asset. Raises LineageError when it is not there."""
        rows = self.read(source).filter(pl.col("path") == name).collect()
        if rows.height != 1:
            raise LineageError(f"{source.asset}: no file named {name!r} at version {source.storage_version}")
        return self.table_dir(source.asset) / str(rows["stored_at"][0])

"""One materialisation, from resolved inputs to the commit with its lineage record.

    build = Build.start(lake, ledger, asset=..., inputs=[...])   # the input manifest is resolved here, once
    build.shards("cc/normalized")                                # exactly what was resolved is read
    build.commit(FILTERED, staged, counts=..., ...)              # data and lineage become visible together

Everything an asset reads goes through its `Build`, so nothing can be read that the record does not name.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from phoenix_assets.config import digest
from phoenix_assets.content_hash import ContentHash
from phoenix_assets.errors import LineageError, Overtaken
from phoenix_assets.lineage import InputVersion, LicenceTerms, LineageRecord, SideTable, StoredRecord
from phoenix_assets.schema import LEDGER, QUARANTINE
from resources.execution import recorded_execution
from resources.lake import Lake, Shard, StagedFile, stage
from resources.ledger import LineageLedger

PARTITION_COLUMN = "delivery"


@dataclass(frozen=True)
class ShardOutput:
    """What one worker made of one shard: staged files, never text."""

    documents: tuple[StagedFile, ...] = ()
    ledger: tuple[StagedFile, ...] = ()
    quarantine: tuple[StagedFile, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)  # drop reason → documents
    counts: Mapping[str, int] = field(default_factory=dict)  # what else the stage counted


@dataclass
class Build:
    """One materialisation of one asset partition."""

    lake: Lake
    ledger: LineageLedger
    asset: str
    partition: str
    code_version: str
    config: Mapping[str, Any]
    run_id: str
    inputs: tuple[InputVersion, ...]
    partitioned_by: str | None = PARTITION_COLUMN
    table_version: int | None = None  # of the asset's table, from before the inputs were resolved
    started: str = field(default_factory=lambda: _now())

    @property
    def table_dir(self) -> Path:
        """The folder of the asset's table."""
        return self.lake.table_dir(self.asset)

    @property
    def _side_column(self) -> str | None:
        """The column by which side tables are partitioned: only a partition's tables are."""
        return self.partitioned_by if self.partition else None

    def side_asset(self, kind: SideTable) -> str:
        """Return the path of a table that stands beside this asset's."""
        return f"{kind.value}/{self.asset}"

    def input(self, asset: str) -> InputVersion:
        """Return the one resolved input of `asset`. Raises LineageError when there is none, or more than one."""
        found = [source for source in self.inputs if source.asset == asset]
        if len(found) != 1:
            raise LineageError(f"{self.asset}: expected one input {asset}, resolved {len(found)}")
        return found[0]

    def read(self, asset: str) -> pl.LazyFrame:
        """Scan all resolved partitions of `asset`, exactly as resolved."""
        return self.read_all([asset])

    def read_all(self, assets: Collection[str]) -> pl.LazyFrame:
        """Scan all resolved partitions of several assets with one schema, exactly as resolved."""
        frames = [self.lake.read(source) for source in self.inputs if source.asset in assets]
        if not frames:
            raise LineageError(f"{self.asset}: nothing is materialised of {', '.join(assets)}")
        return pl.concat(frames, how="vertical")

    def schema(self, asset: str) -> pl.Schema:
        """Return the schema of a resolved input."""
        return self.read(asset).collect_schema()

    def shards(self, asset: str) -> list[Shard]:
        """Return the files of all resolved partitions of `asset`, in stable order."""
        return [
            shard for source in self.inputs if source.asset == asset for shard in self.lake.shards(source)
        ]

    def file(self, asset: str, name: str) -> Path:
        """Return the path of file `name` of a resolved files asset."""
        return self.lake.stored_file(self.input(asset), name)

    def stage(self, frame: pl.DataFrame, *, partition: str | None = None) -> StagedFile:
        """Write rows of this asset's partition (or of another one of its table), not yet visible."""
        place = self.partition if partition is None else partition
        return stage(self.table_dir, frame, column=self.partitioned_by, partition=place)

    def stage_side(self, kind: SideTable, frame: pl.DataFrame) -> StagedFile:
        """Write rows of a table beside this asset's, not yet visible."""
        folder = self.lake.table_dir(self.side_asset(kind))
        return stage(folder, frame, column=self._side_column, partition=self.partition)

    def commit_shards(
        self,
        schema: pl.Schema,
        outputs: Iterable[ShardOutput],
        *,
        licences: tuple[LicenceTerms, ...] | None = None,
    ) -> StoredRecord:
        """Commit ledger, quarantine and documents of all shards; raises ValidationError when rows were lost."""
        done = list(outputs)
        reasons: Counter[str] = Counter()
        counted: Counter[str] = Counter()
        for output in done:
            reasons.update(output.reasons)
            counted.update(output.counts)
        documents = [file for output in done for file in output.documents if file.rows]
        rows_out = sum(file.rows for file in documents)
        quarantined = [file for output in done for file in output.quarantine if file.rows]
        ledgered = [file for output in done for file in output.ledger if file.rows]
        counts = {
            **dict(sorted(counted.items())),
            "rows_in": sum(file.rows for file in ledgered),
            "rows_out": rows_out,
            "rows_dropped": sum(reasons.values()),
            "quarantined": sum(file.rows for file in quarantined),
        }
        return self.commit(
            schema,
            documents,
            counts=counts,
            reasons=dict(sorted(reasons.items())),
            side_tables={
                SideTable.LEDGER: self.commit_side(SideTable.LEDGER, LEDGER, ledgered),
                SideTable.QUARANTINE: self.commit_side(SideTable.QUARANTINE, QUARANTINE, quarantined),
            },
            licences=licences,
        )

    def commit_side(self, kind: SideTable, schema: pl.Schema, staged: list[StagedFile]) -> InputVersion:
        """Commit a table beside the asset's, before the asset itself; return where it stands."""
        asset = self.side_asset(kind)
        version = self.lake.commit(
            asset, schema, staged, column=self._side_column, partitions=[self.partition]
        )
        return InputVersion(
            asset=asset, partition=self.partition, data_version=_total(staged), storage_version=version
        )

    def commit_frame(self, frame: pl.DataFrame, *, counts: Mapping[str, int] | None = None) -> StoredRecord:
        """Commit one frame as the whole partition."""
        return self.commit(
            frame.schema, [self.stage(frame)], counts={"rows_out": frame.height, **(counts or {})}
        )

    def commit_files(self, folder: Path, *, counts: Mapping[str, int] | None = None) -> StoredRecord:
        """Move every file below `folder` into the lake and commit the list of them."""
        files = self.lake.store_files(self.asset, folder)
        return self.commit_frame(files, counts={"bytes": int(files["bytes"].sum()), **(counts or {})})

    def commit(
        self,
        schema: pl.Schema,
        staged: Iterable[StagedFile],
        *,
        counts: Mapping[str, int],
        reasons: Mapping[str, int] | None = None,
        side_tables: Mapping[SideTable, InputVersion] | None = None,
        licences: tuple[LicenceTerms, ...] | None = None,
        data_version: str | None = None,
        partitions: Collection[str] | None = None,
        content: ContentHash | None = None,
        succeed: bool = False,
    ) -> StoredRecord:
        """Make the staged files the asset's partition, together with the lineage record.

        `data_version` replaces the content hash where an asset's identity is not the sum of its rows. An unpartitioned
        asset whose table is partitioned replaces only these `partitions` of it; `content` is that of the whole table.
        What is made of the version before must `succeed` just that one: raises Overtaken, and leaves no staged file, when
        there is another one by now.
        """
        files = list(staged)
        content_hash = _total(files) if content is None else content.data_version
        record = LineageRecord(
            record_id=uuid.uuid4().hex,
            asset=self.asset,
            partition=self.partition,
            data_version=data_version or content_hash,
            content_hash=content_hash,
            code_version=self.code_version,
            config_digest=digest(self.config),
            config=dict(self.config),
            inputs=self.inputs,
            licences=self._inherited_licences() if licences is None else licences,
            counts={**counts, "stored_bytes": sum(file.bytes for file in files)},
            reasons=dict(reasons or {}),
            side_tables=dict(side_tables or {}),
            run_id=self.run_id,
            execution=recorded_execution(self.lake),
            started=self.started,
            finished=_now(),
        )
        try:
            version = self.lake.commit(
                self.asset,
                schema,
                files,
                column=self.partitioned_by,
                partitions=[self.partition] if partitions is None else partitions,
                record=record,
                after=self.table_version if succeed else None,
            )
        except Overtaken:
            for file in files:
                (self.table_dir / file.path).unlink(missing_ok=True)
            raise
        return StoredRecord(record=record, storage_version=version)

    def _inherited_licences(self) -> tuple[LicenceTerms, ...]:
        terms = {
            (term.source, term.delivery): term
            for stored in self.ledger.records_of(self.inputs)
            for term in stored.record.licences
        }
        return tuple(terms[key] for key in sorted(terms))


def _total(files: Iterable[StagedFile]) -> str:
    return sum((file.content for file in files), ContentHash()).data_version


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

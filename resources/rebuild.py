"""The rebuild proof: a dataset version made again from the delivered files, compared with what is recorded.

plan     every record behind the version, in the order of the first time; some are taken from the lake as they are
remake   each one in a scratch lake, by its recorded code and configuration, from what was remade of its inputs
compare  content hashes, also of what was dropped; of the first that differ, which rows
"""

import itertools
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import dagster as dg
import polars as pl
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from phoenix_assets.audit.row_difference import RowDifference, row_difference
from phoenix_assets.content_hash import ContentHash, content_hash
from phoenix_assets.errors import LineageError, Withdrawn
from phoenix_assets.lineage import InputVersion, LineageRecord, SideTable, StoredRecord
from phoenix_assets.schema import Stage
from resources.arrivals import is_registered
from resources.erasures import tombstone_inputs
from resources.lake import Lake, StagedFile
from resources.landing_register import MANIFEST
from resources.ledger import LineageLedger
from resources.recorded_code import RecordedCode
from resources.replay import Remade, Replay, remade

_COMPARED: Final = (SideTable.LEDGER, SideTable.QUARANTINE)
_TRAINED: Final = {"train", "evaluate", "search"}  # rooms whose assets need machines and days, not only data
_DOWNLOADED: Final = "downloaded"


@dataclass(frozen=True)
class Compared:
    """One materialisation, made again (or `taken` from the lake as it is) and compared."""

    stored: StoredRecord
    taken: bool
    rows: int
    difference: str = ""  # "" when bit-identical

    @property
    def name(self) -> str:
        """The asset partition."""
        record = self.stored.record
        return f"{record.asset}[{record.partition}]" if record.partition else record.asset


def find_version(lake: Lake, asset: str, partition: str, version: str) -> StoredRecord:
    """Return the record with this storage version, or the newest whose data version begins with it; for "" the newest.

    Raises LineageError with the versions that there are.
    """
    records = [stored for stored in lake.records(asset) if stored.record.partition == partition]
    named = [stored for stored in records if str(stored.storage_version) == version]
    begun = [stored for stored in records if stored.record.data_version.startswith(version)]
    for stored in reversed(named or begun):
        return stored
    there = ", ".join(f"{stored.record.data_version} (at {stored.storage_version})" for stored in records)
    name = f"{asset}[{partition}]" if partition else asset
    raise LineageError(f"{name} has no version {version!r}; there are: {there or 'none'}")


def is_given(graph: AssetGraph, asset: str) -> bool:
    """Return whether an asset is not made from deliveries alone, by a kernel: trained, downloaded, entered by people."""
    key = dg.AssetKey(asset.split("/"))
    if not graph.has(key) or not graph.get(key).is_executable:
        return True
    return graph.get(key).tags.get("room") in _TRAINED or key.path[-1] == _DOWNLOADED


@dataclass
class Rebuild:
    """A dataset version made again in the empty folder `home`."""

    ledger: LineageLedger
    landing: Path
    code: RecordedCode
    home: Path
    given: Collection[str]  # assets that are taken from the lake as they are
    _remade: dict[InputVersion, InputVersion] = field(default_factory=dict)

    def run(self, target: StoredRecord) -> Iterator[Compared]:
        """Yield each materialisation behind `target`, and itself, compared, until one differs.

        Raises LineageError, before anything is made, when a delivery or the code of a record is not there any more, and
        Withdrawn when something that was in it has been erased since.
        """
        if target.record.asset in self.given:
            raise LineageError(
                f"{target.record.asset} is not made from deliveries alone: name what it was made from"
            )
        records = self._plan(target)
        self._require(records)
        self._link_landing(records)
        (self.home / "cache").symlink_to(self.ledger.lake.home / "cache")
        for stored in records:
            compared = self._compare(stored)
            yield compared
            if compared.difference:
                return

    def _plan(self, target: StoredRecord) -> list[StoredRecord]:
        """Return every record that has to be there, inputs first, each table's in the order of its versions."""
        found = {target.record.record_id: target}
        behind: dict[str, set[str]] = {}
        frontier = [target]
        while frontier:
            reached: list[StoredRecord] = []
            for stored in frontier:
                inputs = self.ledger.records_of(self._read(stored))
                behind[stored.record.record_id] = {one.record.record_id for one in inputs}
                reached += inputs
            new = {one.record.record_id: one for one in reached if one.record.record_id not in found}
            found |= new
            frontier = list(new.values())
        for earlier, later in _successive(found.values()):
            behind[later].add(earlier)
        ordered = sorted(found, key=lambda one: (found[one].record.started, one))
        return [found[one] for one in TopologicalSorter({one: behind[one] for one in ordered}).static_order()]

    def _read(self, stored: StoredRecord) -> tuple[InputVersion, ...]:
        return () if stored.record.asset in self.given else stored.record.inputs

    def _require(self, records: Iterable[StoredRecord]) -> None:
        for stored in records:
            record = stored.record
            if record.asset in self.given:
                continue
            if MANIFEST in record.config and not is_registered(self.landing, record):
                raise LineageError(
                    f"{record.asset}[{record.partition}]: the delivery that it was made of, with the manifest"
                    f" {record.config[MANIFEST]}, is not in {self.landing} any more; put it back, or take what was"
                    f" read of it from the lake (--given {record.asset.partition('/')[0]}/{Stage.EXTRACTED})"
                )
            if record.asset.endswith(f"/{Stage.EXTRACTED}"):
                self._require_unerased(record)
            self.code.of(record)

    def _require_unerased(self, record: LineageRecord) -> None:
        erased = tombstone_inputs(self.ledger, record.asset.partition("/")[0], record.partition)
        if {one.data_version for one in erased} - {one.data_version for one in record.inputs}:
            raise Withdrawn(
                f"{record.asset}[{record.partition}]: documents of it were erased after it was made, and making it again"
                " would bring them back; rebuild a later version"
            )

    def _link_landing(self, records: Iterable[StoredRecord]) -> None:
        """Link the deliveries of raw records file by file: what is put in their place later is not read."""
        for record in (stored.record for stored in records if MANIFEST in stored.record.config):
            place = Path(record.asset.partition("/")[0]) / record.partition
            if record.asset not in self.given and not (self.home / "landing" / place).exists():
                shutil.copytree(
                    self.landing / place, self.home / "landing" / place, symlinks=True, copy_function=_link
                )

    def _compare(self, stored: StoredRecord) -> Compared:
        taken = stored.record.asset in self.given
        made = self._take(stored) if taken else self._make(stored)
        self._remade[stored.as_input()] = InputVersion(
            asset=stored.record.asset,
            partition=stored.record.partition,
            data_version=made.data_version,
            storage_version=made.storage_version,
        )
        return Compared(stored, taken, made.rows, "" if taken else self._difference(stored, made))

    def _make(self, stored: StoredRecord) -> Remade:
        record = stored.record
        inputs = tuple(
            self._remade[read.as_input()]
            for read in self.ledger.records_of(record.inputs)
        )  # fmt: skip
        day = datetime.fromisoformat(record.started).date()
        replay = Replay(asset=record.asset, partition=record.partition, inputs=inputs, day=day)
        return self.code.of(record).make_again(self.home, replay)

    def _take(self, stored: StoredRecord) -> Remade:
        """Put what a record made into the scratch lake. Raises LineageError when its rows are not what it says."""
        record, into = stored.record, Lake(self.home)
        side = {kind: table for kind, table in record.side_tables.items() if kind is SideTable.FILES}
        beside = {
            kind: table.model_copy(update={"storage_version": _transplant(self.ledger.lake, into, table)})
            for kind, table in side.items()
        }
        moved = record.model_copy(update={"inputs": (), "side_tables": beside})
        version = _transplant(self.ledger.lake, into, stored.as_input(), moved)
        return remade(StoredRecord(record=moved, storage_version=version))

    def _difference(self, stored: StoredRecord, made: Remade) -> str:
        record, lake = stored.record, Lake(self.home)
        for kind in (kind for kind in _COMPARED if kind in record.side_tables):
            one, other = record.side_tables[kind], made.side_tables[kind]
            if one.data_version != other.data_version:
                return f"{kind}: {_described(self.ledger.lake, one, lake, other)}"
        place = {"asset": record.asset, "partition": record.partition}
        again = InputVersion(**place, data_version=made.data_version, storage_version=made.storage_version)
        if made.content_hash != record.content_hash:
            return _described(self.ledger.lake, stored.as_input(), lake, again)
        if made.data_version != record.data_version:
            return f"the same rows, but data version {record.data_version} became {made.data_version}"
        return ""


def _successive(records: Iterable[StoredRecord]) -> Iterator[tuple[str, str]]:
    """Yield the ids of records that follow one another in a table."""
    tables: dict[str, list[StoredRecord]] = {}
    for stored in records:
        tables.setdefault(stored.record.asset, []).append(stored)
    for table in tables.values():
        ordered = [one.record.record_id for one in sorted(table, key=lambda one: one.storage_version)]
        yield from itertools.pairwise(ordered)


def _described(lake: Lake, recorded: InputVersion, scratch: Lake, made: InputVersion) -> str:
    found: RowDifference | None = row_difference(
        lambda: _frames(lake, recorded), lambda: _frames(scratch, made)
    )
    return found.described() if found else "the lake's own rows are not what the record says: run an audit"


def _frames(lake: Lake, source: InputVersion) -> Iterator[pl.DataFrame]:
    """Yield the rows of each file, as they are hashed."""
    for shard in lake.shards(source):
        yield pl.read_parquet(shard.path, hive_partitioning=False)


def _transplant(lake: Lake, into: Lake, source: InputVersion, record: LineageRecord | None = None) -> int:
    """Link a partition's files into another lake and commit them there; return its storage version."""
    column = lake.partition_column(source.asset)
    staged: list[StagedFile] = []
    schema = lake.read(source).collect_schema()
    for shard in lake.shards(source):
        name = str(shard.path.relative_to(lake.table_dir(source.asset)))
        rows = pl.read_parquet(shard.path, hive_partitioning=False)
        _link(shard.path, into.table_dir(source.asset) / name)
        for stored_at in rows["stored_at"] if "stored_at" in rows.columns else ():
            _link(lake.table_dir(source.asset) / stored_at, into.table_dir(source.asset) / stored_at)
        staged.append(
            StagedFile(name, rows.height, shard.path.stat().st_size, content_hash(rows), shard.partition)
        )
    found = sum((file.content for file in staged), ContentHash()).data_version
    if record is not None and found != record.content_hash:
        raise LineageError(
            f"{source.asset}[{source.partition}]: its rows hash to {found}, not {record.content_hash}"
        )
    partitions = [file.partition for file in staged] or [source.partition]
    return into.commit(source.asset, schema, staged, column=column, partitions=partitions, record=record)


def _link(source: str | Path, target: str | Path) -> None:
    """Link a file; across file systems, copy it."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

"""What can be deleted under `$PHOENIX_HOME`, and its deletion: the lake's vacuum.

Kept is whatever stands behind something newest or frozen: data, side tables and files, back to the delivered ones, so that
every audit of them finds what it verifies. An index's own earlier versions are not needed by its newest, nor is a frozen
mixture that was withdrawn. What was replaced a short while ago is left, as a run may still read it, and so is what was
written and not committed: a run may be about to.

Erased texts go whatever pins them, as soon as the newest version is without them. A mark, `<file>.erased`, stays in their
place, so that audits know what they miss.
"""

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import Field

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.errors import LineageError, Withdrawn
from phoenix_assets.lineage import UNPARTITIONED, InputVersion, StoredRecord
from resources.erased_files import ERASED_SUFFIX, erased_files
from resources.frozen import frozen_mixtures
from resources.lake import Lake
from resources.ledger import LineageLedger
from resources.storage_budget import StorageBudget
from training_jobs.job_state import EXIT_FILE

_LOG: Final = "_delta_log"


class GarbageConfig(Config):
    """`config/gc.yaml`."""

    keep_hours: float = Field(ge=0)


def load_garbage() -> GarbageConfig:
    """Return `config/gc.yaml`."""
    return load(GarbageConfig, config_dir() / "gc.yaml")


class Why(StrEnum):
    """Why something can be deleted."""

    SUPERSEDED = "replaced by a newer version"
    ORPHANED = "written, but never committed"
    ERASED = "erased"
    DELIVERED = "delivered files of what was erased"
    PROXY = "checkpoints of finished proxies"
    LEFT = "left behind by runs that were killed"


@dataclass(frozen=True)
class Doomed:
    """Files of one place that can be deleted for one reason."""

    place: str  # a folder of the home
    why: Why
    files: tuple[Path, ...]
    bytes: int


@dataclass(frozen=True)
class GarbagePlan:
    """What a collection would do."""

    doomed: tuple[Doomed, ...]
    pinned: Mapping[str, int]  # asset → bytes of versions that are not the newest, and stay
    recent_bytes: int  # that may be in use, and can be deleted later
    unfinished: tuple[str, ...]  # newest versions that still hold what was erased

    @property
    def bytes(self) -> int:
        """The bytes that come free."""
        return sum(one.bytes for one in self.doomed)


@dataclass
class _Collector:
    lake: Lake
    ledger: LineageLedger
    keep_seconds: float
    now: float = field(default_factory=time.time)
    found: dict[tuple[str, Why], list[Path]] = field(default_factory=lambda: defaultdict(list))
    pinned: Counter[str] = field(default_factory=Counter)
    recent_bytes: int = 0

    def table(self, asset: str, needed: Iterable[InputVersion]) -> None:
        """Sort the files of a table into those that stay and those that go."""
        folder, log = self.lake.table_dir(asset), self.lake.log(asset)
        newest = self._files_of(asset, [self.lake.newest(asset)])
        pinned = self._files_of(asset, needed) - newest
        replaced = {folder / path for path in log.removed_since(int(1000 * (self.now - self.keep_seconds)))}
        known = {folder / path for path in log.ever_added()} if newest or pinned else set()
        kept_files = self._stored(folder, newest), self._stored(folder, pinned)
        known |= self._stored(folder, known)
        for path in _files_below(folder):
            if path in newest or path in kept_files[0] or path.suffix == ERASED_SUFFIX:
                continue
            size = path.stat().st_size
            if path in pinned or path in kept_files[1]:
                self.pinned[asset] += size
            elif path in replaced or self._is_recent(path):
                self.recent_bytes += size
            else:
                self.found[f"lake/{asset}", Why.SUPERSEDED if path in known else Why.ORPHANED].append(path)

    def _files_of(self, asset: str, versions: Iterable[InputVersion]) -> set[Path]:
        log, folder = self.lake.log(asset), self.lake.table_dir(asset)
        found: set[Path] = set()
        for one in versions:
            is_partition = one.partition != UNPARTITIONED
            if is_partition and (added := log.added(one.storage_version)):
                found |= {folder / path for path in added}
            else:
                found |= {shard.path for shard in self.lake.shards(one)}
        return found

    def _stored(self, folder: Path, tables: Iterable[Path]) -> set[Path]:
        """Return the binary files that FILES rows name."""
        if not (folder / "_files").is_dir():
            return set()
        frames = [
            pl.read_parquet(path, columns=["stored_at"], hive_partitioning=False)
            for path in tables
            if path.is_file()
        ]
        return {folder / name for frame in frames for name in frame["stored_at"]}

    def _is_recent(self, path: Path) -> bool:
        return path.stat().st_mtime > self.now - self.keep_seconds

    def proxies(self) -> None:
        """Find the checkpoints of finished jobs that no training run names: those of proxies."""
        tables = [asset for asset in self.lake.assets() if asset.startswith("train/")]
        frames = [pl.read_delta(str(self.lake.table_dir(asset)), columns=["job_key"]) for asset in tables]
        named = {key for frame in frames for key in frame["job_key"]}
        for job in sorted((self.lake.home / "jobs").glob("*")):
            ended = job / EXIT_FILE
            if job.name not in named and ended.is_file() and not self._is_recent(ended):
                self.found[f"jobs/{job.name}", Why.PROXY] += _files_below(job / "checkpoints")

    def left_behind(self) -> None:
        """Find temporary files of runs that were killed."""
        for folder in sorted((self.lake.home / "scratch").glob("*")):
            if not self._is_recent(folder):
                self.found["scratch", Why.LEFT] += _files_below(folder) if folder.is_dir() else [folder]


def plan(lake: Lake, ledger: LineageLedger, *, keep_hours: float, now: float | None = None) -> GarbagePlan:
    """Return what can be deleted; deletes nothing."""
    collector = _Collector(lake, ledger, keep_hours * 3600, time.time() if now is None else now)
    with ledger.connect():  # once for all records
        needed = _needed(lake, ledger)
    for asset in lake.assets():
        collector.table(asset, needed.get(asset, ()))
    collector.proxies()
    collector.left_behind()
    erased = erased_files(lake, ledger)
    gone = set(erased.in_lake)
    doomed = [
        _doomed(place, why, [path for path in paths if path not in gone])
        for (place, why), paths in sorted(collector.found.items())
    ]
    for asset, paths in sorted(_by_asset(lake, erased.in_lake).items()):
        doomed.append(_doomed(f"lake/{asset}", Why.ERASED, paths))
    doomed += [
        _doomed(str(folder.relative_to(lake.home)), Why.DELIVERED, _files_below(folder))
        for folder in erased.landed
    ]
    return GarbagePlan(
        tuple(one for one in doomed if one.files),
        dict(collector.pinned),
        collector.recent_bytes,
        erased.unfinished,
    )


def carry_out(lake: Lake, plan: GarbagePlan, budget: StorageBudget, now: datetime) -> None:
    """Delete what a plan names, and write it to the budget's journal."""
    for one in plan.doomed:
        if one.why is Why.ERASED:
            for path in one.files:
                _mark(path, now)
        budget.delete_files(lake.home / one.place, one.files, one.bytes, now)
        for folder in {path.parent for path in one.files}:
            _remove_empty(folder, lake.home)


def _needed(lake: Lake, ledger: LineageLedger) -> dict[str, set[InputVersion]]:
    """Return every version of a table that something newest or frozen stands on, by asset."""
    heads = [stored for partitions in ledger.all_heads().values() for stored in partitions.values()]
    frozen: list[InputVersion] = []
    for mixture in frozen_mixtures(lake).values():
        try:
            mixture.require_data(ledger)
        except Withdrawn:
            continue
        frozen += mixture.inputs
    found: dict[str, set[InputVersion]] = defaultdict(set)
    for stored in _behind(ledger, [*heads, *ledger.records_of(frozen)]):
        for table in (stored.as_input(), *stored.record.side_tables.values()):
            found[table.asset].add(table)
    return found


def _behind(ledger: LineageLedger, starts: Iterable[StoredRecord]) -> list[StoredRecord]:
    """Return records and all behind them, but no index's own earlier versions."""
    found = {stored.record.record_id: stored for stored in starts}
    frontier = list(found.values())
    while frontier:
        sources = {
            source
            for stored in frontier
            for source in stored.record.inputs
            if source.asset != stored.record.asset
        }
        records = [record for source in sorted(sources, key=str) if (record := _recorded(ledger, source))]
        frontier = [stored for stored in records if stored.record.record_id not in found]
        found.update((stored.record.record_id, stored) for stored in frontier)
    return list(found.values())


def _recorded(ledger: LineageLedger, source: InputVersion) -> StoredRecord | None:
    try:
        return ledger.record_of(source)
    except LineageError:  # its table was replaced: there is nothing to keep
        return None


def _by_asset(lake: Lake, paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        table = next(folder for folder in path.parents if (folder / _LOG).is_dir())
        found[str(table.relative_to(lake.root))].append(path)
    return found


def _files_below(folder: Path) -> list[Path]:
    """Return the files below a folder, without the log of a table."""
    found = []
    for place, names, files in os.walk(folder):
        if _LOG in names:
            names.remove(_LOG)
        found += [Path(place) / name for name in files]
    return sorted(found)


def _doomed(place: str, why: Why, files: list[Path]) -> Doomed:
    """Return files with the bytes that come free: none of a file that has another name outside."""
    links: Counter[tuple[int, int]] = Counter()
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for path in files:
        status = path.lstat()
        links[status.st_dev, status.st_ino] += 1
        sizes[status.st_dev, status.st_ino] = status.st_nlink, status.st_size
    free = sum(size for inode, (count, size) in sizes.items() if links[inode] == count)
    return Doomed(place, why, tuple(files), free)


def _mark(path: Path, now: datetime) -> None:
    mark = path.with_name(path.name + ERASED_SUFFIX)
    mark.write_text(
        json.dumps({"file": path.name, "erased_at": now.isoformat(timespec="seconds")}) + "\n", "utf-8"
    )


def _remove_empty(folder: Path, home: Path) -> None:
    while folder != home and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent

"""How the decisions of a dedup group are kept in the lake: a table of decisions by delivery, and the index's files.

A new version reads the index's files of the last one, updates them to the deliveries of now and writes the decisions
of the deliveries that this touched; all other partitions and files stay as they are.

- Builds of one index that run at the same time both count: one commits, the other finds that out from the table's
  version and begins again from there, with the inputs of then.
- When a file of the index turns out to be damaged, the index is made again from the decisions that stand.
"""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from phoenix_assets.config import digest
from phoenix_assets.content_hash import ContentHash, content_hash
from phoenix_assets.dedup import store
from phoenix_assets.dedup.candidates import DeliveryInput, Sorting
from phoenix_assets.dedup.config import DedupConfig
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.levels import Level
from phoenix_assets.dedup.store import Stored
from phoenix_assets.dedup.update import Known, Update
from phoenix_assets.errors import DamagedIndex, LineageError, Overtaken
from phoenix_assets.lineage import InputVersion, SideTable, StoredRecord
from resources.build import Build
from resources.lake import FILES, Lake, StagedFile

_log = logging.getLogger(__name__)
_SEPARATOR = "~"  # neither a source nor a delivery may have it in its name
_ROUNDS: Final = 50  # of each, some build of the index commits
_NO_FILES: Final = pl.DataFrame(schema=FILES)


@dataclass(frozen=True)
class Decided:
    """A version of an index; `damage` says which file of the version before was damaged and how, "" for none."""

    stored: StoredRecord
    damage: str = ""


@dataclass(frozen=True)
class _Work:
    """One attempt at a new version of an index. New files go to `folder` on their way into the lake."""

    build: Build
    level: Level
    dedup: DedupConfig
    before: str | None
    threads: int
    folder: Path

    def empty(self) -> Index:
        """Return an index without documents."""
        home = self.folder / "index"
        home.mkdir(exist_ok=True)
        return self.level.index(home, self.threads)

    @property
    def sorting(self) -> Sorting:
        """How documents are sorted."""
        return Sorting(self.dedup.index.sort_memory, self.folder, self.level.block_documents)


def origin(source: str, delivery: str) -> str:
    """Return the partition of a decisions table that holds one delivery."""
    return f"{source}{_SEPARATOR}{delivery}"


def decide(
    start: Callable[[], Build],
    level: Level,
    dedup: DedupConfig,
    folder: Path,
    *,
    before: str | None,
    threads: int,
    anew: bool = False,
    warn: Callable[[str], object] = _log.warning,
) -> Decided:
    """Bring an index up to the inputs that `start` resolves and commit it; `anew`: as if nothing had been decided yet.

    `before` is the asset of the level whose survivors are decided on, None where the prints are theirs alone; `folder` is
    for temporary files. Raises Overtaken when others have always been faster.
    """
    for left in reversed(range(_ROUNDS)):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            work = _Work(start(), level, dedup, before, threads, Path(place))
            try:
                return _decide(work, None if anew else _earlier(work.build), warn)
            except Overtaken as overtaken:
                if not left:
                    raise
                warn(str(overtaken))
    raise AssertionError


def _decide(work: _Work, earlier: StoredRecord | None, warn: Callable[[str], object]) -> Decided:
    if work.before is not None:
        work.build.inputs = _as_decided_before(work, work.before)
    if earlier is None:
        return Decided(_updated(work, Stored(work.empty()), _NO_FILES, None))
    work.build.inputs = (*work.build.inputs, earlier.as_input())
    try:
        rows = index_files(work.build.lake, earlier)
        stored = store.load(index_paths(work.build.lake, work.build.asset, rows), work.empty)
        return Decided(_updated(work, stored, rows, earlier))
    except DamagedIndex as damage:
        warn(f"{work.build.asset}: {damage}; the index is made again from the decisions of before")
        again = replace(work, folder=work.folder / "again")
        again.folder.mkdir()
        return Decided(_updated(again, _restored(again, earlier), _NO_FILES, earlier), str(damage))


def _updated(work: _Work, stored: Stored, rows: pl.DataFrame, earlier: StoredRecord | None) -> StoredRecord:
    """Update an index, whose files `rows` lists, to the inputs of now and commit it."""
    build = work.build
    done = work.level.update(stored.index, stored.known, _deliveries(work, build.inputs), work.sorting)
    stored.known = done.known
    if build.lake.version(build.asset) != build.table_version:
        raise Overtaken(f"{build.asset}: there is a newer version than the one that was read: begin again")
    staged = _stage_decisions(work, stored, done.affected)
    names = store.save(stored, index_paths(build.lake, build.asset, rows))
    return _commit(work, stored, staged, done, rows.filter(pl.col("path").is_in(sorted(names))), earlier)


def _restored(work: _Work, earlier: StoredRecord) -> Stored:
    """Return the index of an earlier version, made again from its decisions and the signatures that it read."""
    record, lake = earlier.record, work.build.lake
    contents = _contents(lake, earlier)
    if (found := sum(contents.values(), ContentHash()).data_version) != record.content_hash:
        raise LineageError(
            f"{record.asset}: its decisions hash to {found}, the record says {record.content_hash}, so the index cannot "
            "be made again from them: rebuild it (`phoenix rebuild-index`), which decides everything anew"
        )
    deliveries = _deliveries(work, record.inputs)
    decisions = [shard.path for shard in lake.shards(earlier.as_input())]
    index = work.empty()
    work.level.restore(index, record.counts["numbered"], decisions, deliveries, work.sorting)
    known = [Known(*one.name, one.version) for one in deliveries]
    return Stored(index, known, [contents.get(one.name, ContentHash()) for one in known])


def _contents(lake: Lake, stored: StoredRecord) -> dict[tuple[str, str], ContentHash]:
    """Return the content of the decisions on each delivery, from the decisions themselves."""
    contents: dict[tuple[str, str], ContentHash] = {}
    for shard in lake.shards(stored.as_input()):
        source, _, delivery = shard.partition.partition(_SEPARATOR)
        rows = pl.read_parquet(shard.path, hive_partitioning=False)
        contents[source, delivery] = contents.get((source, delivery), ContentHash()) + content_hash(rows)
    return contents


def index_files(lake: Lake, stored: StoredRecord) -> pl.DataFrame:
    """Return the FILES rows of an index. Raises DamagedIndex."""
    table = stored.record.side_tables[SideTable.FILES]
    try:
        return lake.read(table).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DamagedIndex(
            f"the list of the index's files, {table.asset}, cannot be read: {error}"
        ) from error


def index_paths(lake: Lake, asset: str, rows: pl.DataFrame) -> dict[str, Path]:
    """Return where the files of an index are, by name."""
    folder = lake.table_dir(f"{SideTable.FILES.value}/{asset}")
    return {name: folder / place for name, place in rows.select("path", "stored_at").iter_rows()}


def _earlier(build: Build) -> StoredRecord | None:
    """Return the index version whose decisions stand: the newest, if this code and configuration made it.

    A changed kernel or configuration decides everything anew.
    """
    stored = build.ledger.head(build.asset)
    if stored is None or stored.record.code_version != build.code_version:
        return None
    return stored


def _is_prints(work: _Work, source: InputVersion) -> bool:
    return source.asset.partition("/")[2] == work.level.prints


def _as_decided_before(work: _Work, before: str) -> tuple[InputVersion, ...]:
    """Return the level before and the prints that it read: what came since waits until it is decided there."""
    decided = work.build.input(before)
    inputs = work.build.ledger.record_of(decided).record.inputs
    return (decided, *(one for one in inputs if _is_prints(work, one)))


def _deliveries(work: _Work, inputs: tuple[InputVersion, ...]) -> list[DeliveryInput]:
    """Return the deliveries among inputs; what the level before dropped of them is part of their version."""
    build = work.build
    contents: dict[tuple[str, str], ContentHash] = {}
    decisions: dict[str, list[Path]] = {}
    for one in inputs:
        if one.asset == work.before:
            contents = _contents_of(build, one)
            for shard in build.lake.shards(one):
                decisions.setdefault(shard.partition, []).append(shard.path)
    deliveries = []
    for one in inputs:
        if not _is_prints(work, one):
            continue
        source = one.asset.partition("/")[0]
        content = contents.get((source, one.partition))
        deliveries.append(
            DeliveryInput(
                source,
                one.partition,
                work.dedup.source_rank(source),
                version=digest(one.data_version, content.data_version if content else ""),
                signatures=tuple(shard.path for shard in build.lake.shards(one)),
                decisions=tuple(decisions.get(origin(source, one.partition), ())),
            )
        )
    return deliveries


def _contents_of(build: Build, index: InputVersion) -> dict[tuple[str, str], ContentHash]:
    """Return the content of the decisions on each delivery at the granularity before."""
    stored = build.ledger.record_of(index)
    try:
        return store.contents(index_paths(build.lake, index.asset, index_files(build.lake, stored)))
    except DamagedIndex:  # it is made again with its next version
        return _contents(build.lake, stored)


def _stage_decisions(work: _Work, stored: Stored, affected: list[int]) -> list[StagedFile]:
    """Write the decisions of the affected deliveries anew, and note the content of each."""
    staged = []
    stored.contents += [ContentHash()] * (len(stored.known) - len(stored.contents))
    for number in affected:
        stored.contents[number] = ContentHash()
    for number, rows in work.level.decisions(stored.index, stored.known, affected):
        file = work.build.stage(rows, partition=origin(*stored.known[number].name))
        stored.contents[number] += file.content
        staged.append(file)
    return staged


def _commit(
    work: _Work,
    stored: Stored,
    staged: list[StagedFile],
    done: Update,
    inherited: pl.DataFrame,
    earlier: StoredRecord | None,
) -> StoredRecord:
    build = work.build
    duplicates = stored.index.duplicates  # before the index's files move
    added = build.lake.store_files(build.side_asset(SideTable.FILES), stored.index.folder)
    files = pl.concat([inherited.join(added, on="path", how="anti"), added])
    return build.commit(
        work.level.schema,
        staged,
        counts={
            "rows_out": stored.content.rows,
            "duplicates": duplicates,
            "added": done.added,
            "removed": done.removed,
            "revised": done.revised.height,
            "bridges": len(stored.index.bridges),
            "numbered": stored.index.size,
        },
        side_tables={
            SideTable.FILES: build.commit_side(
                SideTable.FILES, FILES, [build.stage_side(SideTable.FILES, files)]
            )
        },
        partitions=[origin(*stored.known[number].name) for number in done.affected],
        content=stored.content,
        data_version=_data_version(stored, done, earlier),
        succeed=True,
    )


def _data_version(stored: Stored, done: Update, earlier: StoredRecord | None) -> str:
    """Return a version that changes only when something decided earlier is decided otherwise now."""
    if earlier is None:
        return f"{stored.content.data_version}-first"
    version = earlier.record.data_version
    return f"{digest(version)}-{content_hash(done.revised).data_version}" if done.revised.height else version

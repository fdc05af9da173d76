"""How the decisions of a dedup group are kept in the lake: a table of decisions by delivery, and the index's files.

A new version reads the index's files of the last one, updates them to the deliveries of now and writes the decisions
of the deliveries that this touched; all other partitions and files stay as they are.
"""

from functools import partial
from pathlib import Path

import polars as pl

from phoenix_assets.config import digest
from phoenix_assets.content_hash import ContentHash, content_hash
from phoenix_assets.dedup import store
from phoenix_assets.dedup.candidates import DeliveryInput, Sorting
from phoenix_assets.dedup.config import DedupConfig, Granularity, GroupConfig
from phoenix_assets.dedup.granularity import bands, block, least
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.stages import DECISION, decision_rows
from phoenix_assets.dedup.store import Stored
from phoenix_assets.dedup.update import Update, update
from phoenix_assets.lineage import SideTable, StoredRecord
from resources.build import Build
from resources.lake import FILES, Lake, StagedFile

_SEPARATOR = "~"  # neither a source nor a delivery may have it in its name


def origin(source: str, delivery: str) -> str:
    """Return the partition of a decisions table that holds one delivery."""
    return f"{source}{_SEPARATOR}{delivery}"


def decide(
    build: Build,
    granularity: Granularity,
    group: GroupConfig,
    dedup: DedupConfig,
    folder: Path,
    *,
    before: str | None,
    threads: int,
) -> StoredRecord:
    """Bring the index of `build` up to its inputs and commit it.

    `before` is the asset of the granularity whose survivors are decided on; `folder` takes files on their way into the
    lake.
    """
    (folder / "index").mkdir()
    (folder / "sorting").mkdir()
    empty = partial(
        Index, folder / "index", bands(granularity, group), least(granularity, group, dedup.signature),
        group.compared, dedup.index.segment_documents, threads,
    )  # fmt: skip
    earlier = _earlier(build)
    rows = pl.DataFrame(schema=FILES) if earlier is None else _file_rows(build.lake, earlier)
    files = _paths(build.lake, build.asset, rows)
    stored = Stored(empty()) if earlier is None else store.load(files, empty)
    sorting = Sorting(dedup.index.sort_memory, folder / "sorting", dedup.index.block_documents)
    as_block = partial(block, granularity=granularity, group=group, signature=dedup.signature)
    done = update(
        stored.index, stored.known, _current(build, before, dedup), granularity.column, sorting, as_block
    )
    stored.known = done.known
    staged = _stage_decisions(build, granularity, stored, done.affected)
    names = store.save(stored, files)
    return _commit(build, stored, staged, done, rows.filter(pl.col("path").is_in(sorted(names))), earlier)


def _file_rows(lake: Lake, stored: StoredRecord) -> pl.DataFrame:
    """Return the FILES rows of an index."""
    return lake.read(stored.record.side_tables[SideTable.FILES]).collect()


def _paths(lake: Lake, asset: str, rows: pl.DataFrame) -> dict[str, Path]:
    """Return where the files of an index are, by name."""
    folder = lake.table_dir(f"{SideTable.FILES.value}/{asset}")
    return {name: folder / place for name, place in rows.select("path", "stored_at").iter_rows()}


def _earlier(build: Build) -> StoredRecord | None:
    """Return the index version whose decisions stand: the newest, if this code and configuration made it.

    It becomes an input of the build. A changed kernel or configuration decides everything anew.
    """
    stored = build.ledger.head(build.asset)
    if stored is None or stored.record.code_version != build.code_version:
        return None
    build.inputs = (*build.inputs, stored.as_input())
    return stored


def _current(build: Build, before: str | None, dedup: DedupConfig) -> list[DeliveryInput]:
    """Return the deliveries of now; what the granularity before dropped of them is part of their version."""
    contents: dict[tuple[str, str], str] = {}
    decisions: dict[str, list[Path]] = {}
    if before is not None:
        [stored] = build.ledger.records_of([build.input(before)])
        contents = store.contents(_paths(build.lake, before, _file_rows(build.lake, stored)))
        for shard in build.lake.shards(build.input(before)):
            decisions.setdefault(shard.partition, []).append(shard.path)
    current = []
    for one in build.inputs:
        source, _, kind = one.asset.partition("/")
        if kind == "signatures":
            current.append(
                DeliveryInput(
                    source,
                    one.partition,
                    dedup.source_rank(source),
                    version=digest(one.data_version, contents.get((source, one.partition), "")),
                    signatures=tuple(shard.path for shard in build.lake.shards(one)),
                    decisions=tuple(decisions.get(origin(source, one.partition), ())),
                )
            )
    return current


def _stage_decisions(
    build: Build, granularity: Granularity, stored: Stored, affected: list[int]
) -> list[StagedFile]:
    """Write the decisions of the affected deliveries anew, and note the content of each."""
    staged = []
    stored.contents += [ContentHash()] * (len(stored.known) - len(stored.contents))
    for number in affected:
        stored.contents[number] = ContentHash()
    for number, numbers in stored.index.by_delivery(affected):
        known = stored.known[number]
        rows = decision_rows(stored.index.decisions(numbers), granularity, known.source, known.delivery)
        file = build.stage(rows, partition=origin(known.source, known.delivery))
        stored.contents[number] += file.content
        staged.append(file)
    return staged


def _commit(
    build: Build,
    stored: Stored,
    staged: list[StagedFile],
    done: Update,
    inherited: pl.DataFrame,
    earlier: StoredRecord | None,
) -> StoredRecord:
    added = build.lake.store_files(build.side_asset(SideTable.FILES), stored.index.folder)
    files = pl.concat([inherited.join(added, on="path", how="anti"), added])
    return build.commit(
        DECISION,
        staged,
        counts={
            "rows_out": stored.content.rows,
            "duplicates": stored.index.duplicates,
            "added": done.added,
            "removed": done.removed,
            "revised": done.revised.height,
            "bridges": len(stored.index.bridges),
        },
        side_tables={
            SideTable.FILES: build.commit_side(
                SideTable.FILES, FILES, [build.stage_side(SideTable.FILES, files)]
            )
        },
        partitions=[origin(*stored.known[number].name) for number in done.affected],
        content=stored.content,
        data_version=_data_version(build, done, earlier),
    )


def _data_version(build: Build, done: Update, earlier: StoredRecord | None) -> str:
    """Return a version that changes only when something decided earlier is decided otherwise now."""
    if earlier is None:
        return f"{digest(build.config)}-first"
    version = earlier.record.data_version
    return f"{digest(version)}-{content_hash(done.revised).data_version}" if done.revised.height else version

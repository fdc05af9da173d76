"""Tombstones in the lake, `<source>/erased`, partitioned by delivery; and what follows from them where deliveries are read.

No run makes a tombstone: a person orders it (`phoenix erase`). `<source>/extracted` reads those of its own partition, if
there are any, so that only what was erased from is stale, and the rest of the graph follows by content.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import polars as pl
from deltalake.exceptions import DeltaError
from pydantic import JsonValue

from phoenix_assets.ingest.erasure import TOMBSTONE, Refusals, is_whole, withhold
from phoenix_assets.lineage import InputVersion, LineageRecord, SideTable, StoredRecord
from phoenix_assets.schema import DOCUMENT, LEDGER, QUARANTINE, Stage, StageOutput
from resources.build import Build
from resources.lake import Lake, Shard
from resources.ledger import LineageLedger

CODE_VERSION: Final = "erasure.1"
_SUFFIX: Final = "/erased"

ItemT = TypeVar("ItemT")


def erased_key(source: str) -> str:
    """Return the asset path of a source's tombstones."""
    return f"{source}{_SUFFIX}"


def tombstone_inputs(ledger: LineageLedger, source: str, delivery: str) -> list[InputVersion]:
    """Return the version of a delivery's tombstones that is read now, nothing when there are none."""
    asset = erased_key(source)
    stored = ledger.head(asset, delivery) if ledger.lake.exists(asset) else None
    return [] if stored is None else [stored.as_input()]


def tombstones(build: Build) -> pl.DataFrame:
    """Return the TOMBSTONE rows among the inputs of a build."""
    return _collected([build.lake.read(one) for one in build.inputs if one.asset.endswith(_SUFFIX)])


def erased_of(ledger: LineageLedger, source: str, delivery: str) -> pl.DataFrame:
    """Return the TOMBSTONE rows of a delivery."""
    return _collected([ledger.lake.read(one) for one in tombstone_inputs(ledger, source, delivery)])


def all_erased(lake: Lake) -> dict[tuple[str, str], pl.DataFrame]:
    """Return the TOMBSTONE rows of every delivery that has some."""
    tables = [asset for asset in lake.assets() if asset.endswith(_SUFFIX)]
    rows = _collected([pl.scan_delta(str(lake.table_dir(asset))) for asset in tables])
    return {
        (str(source), str(delivery)): part
        for (source, delivery), part in rows.partition_by("source", "delivery", as_dict=True).items()
    }


def order(
    ledger: LineageLedger, rows: pl.DataFrame, run_id: str, seen_by: Mapping[str, JsonValue] | None = None
) -> list[StoredRecord]:
    """Add TOMBSTONE rows to those of their deliveries; return the new versions, one a delivery.

    Their records keep `seen_by`, what of mixtures, runs and checkpoints has seen the documents.
    """
    stored = []
    for (source, delivery), part in sorted(rows.partition_by("source", "delivery", as_dict=True).items()):
        asset = erased_key(str(source))
        known = erased_of(ledger, str(source), str(delivery))
        build = Build(
            ledger.lake, ledger, asset, str(delivery), CODE_VERSION, dict(seen_by or {}), run_id, ()
        )
        together = pl.concat([known, part]).sort("at", "doc_id", nulls_last=False)
        stored.append(build.commit_frame(together))
    return stored


def seen_by_run(ledger: LineageLedger, run: str) -> list[dict[str, Any]]:
    """Return what a training run (`train/…`) has seen of documents that were erased since: one row an erasure."""
    assets = [asset for asset in ledger.lake.assets() if asset.endswith(_SUFFIX)]
    found: dict[str, dict[str, Any]] = {}
    for stored in ledger.history(assets):
        said: Any = stored.record.config
        for row in said.get("runs", ()):
            if row["run"] == run:
                found[said["erasure"]] = {"erasure": said["erasure"], "reason": said["reason"], **row}
    return list(found.values())


def cannot_be_read_again(landing: Path, record: LineageRecord) -> bool:
    """Return whether a record is of documents whose delivery is not in the landing folder any more: they stay as read."""
    source, _, stage = record.asset.partition("/")
    return stage == Stage.EXTRACTED and not (landing / source / record.partition).is_dir()


def refusals(lake: Lake) -> Refusals:
    """Return what is refused when it lands again: deliveries that were erased as a whole, and their files."""
    names: dict[tuple[str, str], str] = {}
    files: dict[str, str] = {}
    for name, rows in all_erased(lake).items():
        whole = rows.filter(pl.col("doc_id").is_null())
        for why, at, sums in whole.select("reason", "at", "files").iter_rows():
            names[name] = f"{'/'.join(name)} was erased on {at[:10]}: {why}"
            files |= dict.fromkeys(sums or (), names[name])
    return Refusals(names, files)


def holding_erased(ledger: LineageLedger, inputs: Iterable[InputVersion]) -> dict[tuple[str, str], str]:
    """Return which partitions (asset, partition) among `inputs` hold something that was erased since, and why."""
    erased = all_erased(ledger.lake)
    found = {}
    for one in inputs:
        rows = erased.get((one.asset.partition("/")[0], one.partition))
        if rows is not None and (why := _why_erased(ledger.lake, one, rows)):
            found[one.asset, one.partition] = why
    return found


def _why_erased(lake: Lake, source: InputVersion, erased: pl.DataFrame) -> str:
    try:
        ids = lake.read(source).select("doc_id").collect(engine="streaming")["doc_id"]
    except (OSError, DeltaError, pl.exceptions.PolarsError):  # deleted with what was erased
        ids = erased["doc_id"]
    named = erased.filter(
        pl.col("doc_id").is_null() if is_whole(erased) else pl.col("doc_id").is_in(ids.implode())
    )
    return f"{named['at'][0][:10]}: {named['reason'][0]}" if len(ids) and named.height else ""


@dataclass(frozen=True)
class Withholding(Generic[ItemT]):
    """A kernel of the lake's, less what is erased."""

    kernel: Callable[[ItemT], Iterable[StageOutput]]
    tombstones: pl.DataFrame

    def __call__(self, item: ItemT) -> Iterator[StageOutput]:
        """Yield what the kernel makes of the item, without what is erased."""
        for output in self.kernel(item):
            yield withhold(output, self.tombstones)


@dataclass(frozen=True)
class Carried:
    """A file of the version before, and what it holds."""

    shard: Shard
    kind: SideTable | None  # None: documents


@dataclass(frozen=True)
class CarryOver:
    """Makes what was read of a delivery into what is left of it: the same as reading it again, without its files."""

    tombstones: pl.DataFrame

    def __call__(self, item: Carried) -> Iterator[StageOutput]:
        """Yield the one output of a file."""
        rows = item.shard.read()
        output = StageOutput(DOCUMENT.to_frame())
        if item.kind is SideTable.LEDGER:
            output = replace(output, ledger=rows.select(LEDGER.names()))
        elif item.kind is SideTable.QUARANTINE:
            output = replace(output, quarantine=rows.select(QUARANTINE.names()))
        else:
            output = replace(output, documents=rows.select(DOCUMENT.names()))
        yield withhold(output, self.tombstones)


def carried_over(build: Build, erased: pl.DataFrame, landed: Path) -> list[Carried] | None:
    """Return the files of the version before, from which a partition follows; None when the delivery has to be read.

    It follows when the delivery is that of before and either there is something new to withhold and the code is the same,
    or nothing is left to read; and always when all is erased, since nothing of it may be read.
    """
    earlier = build.ledger.head(build.asset, build.partition)
    whole = is_whole(erased)
    if earlier is None:
        return [] if whole else None
    follows = _read(earlier, "/raw") == _inputs(build, "/raw") and (
        earlier.record.code_version == build.code_version or not landed.is_dir()
    )
    news = _read(earlier, _SUFFIX) != _inputs(build, _SUFFIX)
    if not whole and not (follows and (news or not landed.is_dir())):
        return None
    build.code_version = earlier.record.code_version  # which read what is carried over
    tables: list[tuple[SideTable | None, InputVersion]] = [(None, earlier.as_input())]
    tables += earlier.record.side_tables.items()
    return [
        Carried(shard, kind)
        for kind, table in tables
        if not (whole and kind is not SideTable.LEDGER)
        for shard in build.lake.shards(table)
    ]


def _read(stored: StoredRecord, suffix: str) -> set[str]:
    return _versions(stored.record.inputs, suffix)


def _inputs(build: Build, suffix: str) -> set[str]:
    return _versions(build.inputs, suffix)


def _versions(inputs: Iterable[InputVersion], suffix: str) -> set[str]:
    return {one.data_version for one in inputs if one.asset.endswith(suffix)}


def _collected(frames: list[pl.LazyFrame]) -> pl.DataFrame:
    rows = [frame.select(TOMBSTONE.names()).collect() for frame in frames]
    return pl.concat([TOMBSTONE.to_frame(), *rows])

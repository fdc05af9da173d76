"""The files that still hold what was erased: in versions of the lake that are not the newest, in token shards, in landing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.ingest.erasure import is_whole, quarantined_ids
from phoenix_assets.schema import QUARANTINE, Stage
from phoenix_assets.tokens.trace import TraceIndex
from resources.erasures import all_erased, erased_key
from resources.frozen import frozen_mixture
from resources.lake import Lake
from resources.ledger import LineageLedger

ERASED_SUFFIX: Final = ".erased"
_TEXT_STAGES: Final = tuple(stage for stage in Stage if stage is not Stage.RAW)


@dataclass(frozen=True)
class ErasedFiles:
    """What is to be deleted, and what cannot be yet."""

    in_lake: tuple[Path, ...]
    landed: tuple[Path, ...]  # folders of deliveries
    unfinished: tuple[str, ...]


def is_erased(path: Path) -> bool:
    """Return whether a file is gone because a text in it was erased."""
    return path.with_name(path.name + ERASED_SUFFIX).is_file()


def erased_files(lake: Lake, ledger: LineageLedger) -> ErasedFiles:
    """Return the files that hold erased documents.

    A newest version that does is unfinished: it has to be made again. Tokens of a frozen mixture never are.
    """
    found: list[Path] = []
    landed: list[Path] = []
    unfinished: list[str] = []
    erased = all_erased(lake)
    for (source, delivery), tombstones in sorted(erased.items()):
        held: list[Path] = []
        for asset in (f"{place}{source}/{stage}" for stage in _TEXT_STAGES for place in ("", "quarantine/")):
            newest = _newest(lake, asset)
            for path in sorted((lake.table_dir(asset) / f"delivery={delivery}").glob("*.parquet")):
                if _holds(path, tombstones):
                    (held if path in newest else found).append(path)
        unfinished += sorted({f"{path.parent.parent.relative_to(lake.root)}[{delivery}]" for path in held})
        folder = lake.home / "landing" / source / delivery
        if folder.is_dir() and not held and _is_older(ledger, source, delivery):
            landed.append(folder)
    ids = raw_ids(pl.concat([rows["doc_id"] for rows in erased.values()]).drop_nulls()) if erased else None
    if ids is not None and len(ids):
        for asset in lake.assets("files/tokens"):
            mixture = asset.rpartition("/")[2]
            newest = set() if frozen_mixture(lake, mixture) else _newest_folders(lake, asset)
            for shard in shards_with(lake.table_dir(asset), ids):
                if shard.parent in newest:
                    unfinished.append(asset.removeprefix("files/"))
                else:
                    found.append(shard)
    return ErasedFiles(tuple(found), tuple(landed), tuple(dict.fromkeys(unfinished)))


def _newest(lake: Lake, asset: str) -> set[Path]:
    if not lake.exists(asset):
        return set()
    return {shard.path for shard in lake.shards(lake.newest(asset))}


def _holds(path: Path, tombstones: pl.DataFrame) -> bool:
    names = pl.read_parquet_schema(path)
    if is_whole(tombstones):
        return bool(pl.scan_parquet(path, hive_partitioning=False).select(pl.len()).collect().item())
    erased = tombstones["doc_id"]
    if "doc_id" in names:
        ids = pl.read_parquet(path, columns=["doc_id"], hive_partitioning=False)["doc_id"]
    else:
        rows = pl.read_parquet(path, hive_partitioning=False).with_columns(
            delivery=pl.lit(tombstones["delivery"][0])
        )
        ids = quarantined_ids(rows.select(QUARANTINE.names()))
    return bool(ids.is_in(erased.implode()).any())


def _is_older(ledger: LineageLedger, source: str, delivery: str) -> bool:
    """Return whether a delivery was registered before it was erased from: later it was corrected."""
    raw, erased = ledger.head(f"{source}/{Stage.RAW}", delivery), ledger.head(erased_key(source), delivery)
    return raw is not None and erased is not None and raw.record.finished < erased.record.finished


def raw_ids(doc_ids: pl.Series) -> npt.NDArray[np.bytes_]:
    """Return ids as the trace index has them, sorted."""
    return np.unique(np.array(doc_ids.str.decode("hex").to_list(), dtype="S16"))


def _newest_folders(lake: Lake, asset: str) -> set[Path]:
    rows = lake.read(lake.newest(asset)).select("stored_at").collect()
    return {(lake.table_dir(asset) / name).parent for name in rows["stored_at"]}


def shards_with(table: Path, ids: npt.NDArray[np.bytes_]) -> Iterator[Path]:
    """Yield the token shards that hold one of the documents, by their trace index."""
    for folder in sorted((table / "_files").glob("*")):
        for split in sorted({path.name.rpartition("-")[0] for path in folder.glob("*.idx")}):
            trace = TraceIndex(folder, split)
            for prefix, documents in zip(trace.prefixes, trace.raw_ids(), strict=True):
                shard = prefix.with_suffix(".bin")
                own = np.ascontiguousarray(documents).view("S16").ravel()
                if shard.exists() and np.isin(own, ids).any():
                    yield shard

"""A delivery downloaded: every file of its group fetched and checked, then put into the landing folder by one rename.

    landing/<source>/.<delivery>.download/     while it is put together, over as many runs as it takes
    landing/<source>/<delivery>/               afterwards, as a vendor would deliver it, with `origin.yaml` beside

What a run could not get, the next run fetches; what is there is not fetched again.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

import polars as pl
import yaml

from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.crawl_listing import (
    CrawlDelivery,
    check_snapshot,
    cut,
    file_name,
    read_checksums,
    read_listing,
    snapshot_of,
)
from phoenix_assets.ingest.delivery import DeliveredFile, DeliveryManifest, read_manifest, write_manifest
from phoenix_assets.ingest.download_config import CrawlSource
from phoenix_assets.ingest.http_source import HttpSource
from phoenix_assets.ingest.parallel_fetch import Progress, fetch_all, sizes, small_file
from phoenix_assets.ingest.segment import Segment, Staging

ORIGIN_NAME: Final = "origin.yaml"

SEGMENT: Final = pl.Schema(
    {
        "file": pl.String,  # within the delivery
        "url": pl.String,
        "bytes": pl.Int64,
        "etag": pl.String,
        "last_modified": pl.String,
        "sha256": pl.String,
        "attempts": pl.Int64,  # over all runs
        "resumed": pl.Int64,  # attempts that went on within the file
    }
)
IDENTITY: Final = ("file", "bytes", "sha256")  # what was downloaded; the rest is where from, and what it took

# Admits a delivery of so many bytes into a folder, for as long as the context lasts; raises when there is no room.
Admission: TypeAlias = Callable[[int, Path], AbstractContextManager[object]]


@dataclass(frozen=True)
class Downloaded:
    """A delivery in the landing folder, and how fast this run got it there."""

    manifest: DeliveryManifest
    segments: tuple[Segment, ...]
    received_bytes: int = 0
    megabytes_per_second: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """What lineage counts."""
        return {
            "segments": len(self.segments),
            "bytes": sum(segment.bytes for segment in self.segments),
            "received_bytes": self.received_bytes,
            "attempts": sum(segment.attempts for segment in self.segments),
            "resumed": sum(segment.resumed for segment in self.segments),
            "failed_attempts": sum(segment.attempts - 1 for segment in self.segments),
        }


def deliveries_of(settings: CrawlSource, source: HttpSource, snapshot: str) -> list[CrawlDelivery]:
    """Return the deliveries of a snapshot, cut from its listing. Raises DownloadError."""
    path = settings.listing_path(check_snapshot(snapshot))
    paths = read_listing(small_file(settings, source, path), path.rpartition("/")[0], settings.limits)
    return cut(snapshot, paths, settings.files_per_delivery)


def download(
    settings: CrawlSource,
    folder: Path,
    *,
    admit: Admission,
    today: date,
    report: Callable[[str], object],
) -> Downloaded:
    """Bring the delivery of `folder` (`landing/<source>/<delivery>`) there, from where its last run left off.

    `admit` is asked before the first byte, with the size of the whole delivery and the folder that holds what has
    arrived. Raises DownloadError naming the files that failed; all others are kept.
    """
    staging = Staging(folder.with_name(f".{folder.name}.download"))
    with HttpSource(settings) as source:
        delivery = _delivery(settings, source, folder.name)
        if folder.exists():
            return _landed(folder, staging, source, delivery)
        there = _finished(staging, delivery)
        missing = [path for path in delivery.paths if file_name(path) not in there]
        remotes, failed = sizes(settings, source, missing)
        whole = sum(one.bytes for one in there.values()) + sum(one.bytes for one in remotes.values())
        with admit(whole, staging.root):
            if folder.exists():  # another run was at work, and has ended
                return _landed(folder, staging, source, delivery)
            staging.make()
            progress = Progress()
            checksums = _checksums(settings, source, folder.name)
            failed |= fetch_all(settings, source, staging, remotes, checksums, progress, report)
            if failed:
                raise DownloadError(_failure(delivery, failed))
            segments = tuple(_finished(staging, delivery).values())
            manifest = _manifest(settings, folder, segments, today)
            _publish(staging, manifest, segments, folder)
            return Downloaded(manifest, segments, progress.received, progress.megabytes_per_second)


def segments_frame(segments: Iterable[Segment]) -> pl.DataFrame:
    """Return one SEGMENT row a file."""
    return pl.DataFrame([segment.model_dump() for segment in segments], schema=SEGMENT, orient="row")


def _delivery(settings: CrawlSource, source: HttpSource, name: str) -> CrawlDelivery:
    deliveries = {one.name: one for one in deliveries_of(settings, source, snapshot_of(name))}
    if name not in deliveries:
        raise DownloadError(f"{name}: the listing of its snapshot gives only {len(deliveries)} deliveries")
    paths = deliveries[name].paths
    if len({file_name(path) for path in paths}) < len(paths):
        raise DownloadError(f"{name}: two of its files have the same name; choose another files_per_delivery")
    return deliveries[name]


def _finished(staging: Staging, delivery: CrawlDelivery) -> dict[str, Segment]:
    """Return the files that are whole and checked, in the listing's order."""
    names = [file_name(path) for path in delivery.paths]
    return {name: segment for name in names if (segment := staging.finished(name)) is not None}


def _checksums(settings: CrawlSource, source: HttpSource, delivery: str) -> dict[str, str]:
    path = settings.checksums_path(snapshot_of(delivery))
    return read_checksums(small_file(settings, source, path), settings.limits) if path else {}


def _manifest(
    settings: CrawlSource, folder: Path, segments: Sequence[Segment], today: date
) -> DeliveryManifest:
    return DeliveryManifest(
        source=folder.parent.name,
        delivery=folder.name,
        vendor=settings.vendor,
        licence=settings.licence,
        received=today,
        format=settings.format,
        files=tuple(DeliveredFile(path=one.file, bytes=one.bytes, sha256=one.sha256) for one in segments),
    )


def _publish(staging: Staging, manifest: DeliveryManifest, segments: Sequence[Segment], folder: Path) -> None:
    """Give the complete delivery its name, in one rename: nobody ever sees a half of it."""
    origin = {"segments": [segment.model_dump() for segment in segments]}
    text = yaml.safe_dump(origin, sort_keys=False, allow_unicode=True, width=200)
    (staging.files / ORIGIN_NAME).write_text(text, "utf-8")
    write_manifest(staging.files, manifest)
    staging.files.rename(folder)
    shutil.rmtree(staging.root)


def _landed(folder: Path, staging: Staging, source: HttpSource, delivery: CrawlDelivery) -> Downloaded:
    """Return a delivery that is in the landing folder already, from its own origin.

    Raises DownloadError when what lies there is not what the listing means by that name.
    """
    origin = folder / ORIGIN_NAME
    values = yaml.safe_load(origin.read_text("utf-8")) if origin.is_file() else {}
    segments = tuple(Segment.model_validate(one) for one in values.get("segments", ()))
    if [segment.url for segment in segments] != [source.url(path) for path in delivery.paths]:
        raise DownloadError(
            f"{folder} holds other files than the listing gives for {delivery.name}; move it away to download these"
        )
    shutil.rmtree(staging.root, ignore_errors=True)  # what a run left that ended right after the rename
    return Downloaded(read_manifest(folder), segments)


def _failure(delivery: CrawlDelivery, failed: dict[str, str]) -> str:
    lines = "\n".join(f"  {file_name(path)}: {reason}" for path, reason in sorted(failed.items()))
    return (
        f"{len(failed)} of {len(delivery.paths)} files of {delivery.name} failed; the others are kept, and the next "
        f"run fetches only these:\n{lines}"
    )

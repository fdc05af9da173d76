"""Many files of one server at a time: their sizes, then their content. One file's failure does not stop the others."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Final

from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.bandwidth import TokenBucket
from phoenix_assets.ingest.download_config import CrawlSource
from phoenix_assets.ingest.http_source import HttpSource, Remote
from phoenix_assets.ingest.retries import persist
from phoenix_assets.ingest.segment import Segment, SegmentDownload, Staging

_GIGABYTE: Final = 10**9
_MEGABYTE: Final = 10**6


@dataclass
class Progress:
    """What has arrived, told by many threads; and the order to stop, which ends every wait."""

    started: float = field(default_factory=time.monotonic)
    received: int = 0  # bytes
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def arrived(self, count: int) -> None:
        """Count bytes."""
        with self._lock:
            self.received += count

    def pause(self, seconds: float) -> None:
        """Wait. Raises DownloadError as soon as the download is to stop."""
        if self._stop.wait(seconds) if seconds else self._stop.is_set():
            raise DownloadError("the download was stopped")

    def stop(self) -> None:
        """End every wait, now and later."""
        self._stop.set()

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self.started

    @property
    def megabytes_per_second(self) -> float:
        """How fast bytes have arrived."""
        return self.received / _MEGABYTE / max(self.seconds, 1e-9)

    def line(self, done: int, files: int) -> str:
        """Say in one line how far the download is."""
        received = f"{self.received / _GIGABYTE:.2f} GB received, {self.megabytes_per_second:.1f} MB/s"
        return f"{done} of {files} files done, {received}"


def small_file(settings: CrawlSource, source: HttpSource, path: str) -> bytes:
    """Return a listing, or another file of that size. Raises DownloadError."""
    progress = Progress()
    most = settings.limits.max_listing_bytes
    return persist(lambda: source.read(path, most), name=path, retries=settings.retries, pause=progress.pause)


def sizes(
    settings: CrawlSource, source: HttpSource, paths: Sequence[str]
) -> tuple[dict[str, Remote], dict[str, str]]:
    """Return what the server has of each path, and the paths that it has no good answer for with the reason."""
    progress = Progress()

    def look(path: str) -> Remote:
        return persist(lambda: source.look(path), name=path, retries=settings.retries, pause=progress.pause)

    found: dict[str, Remote] = {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(settings.connections) as pool:
        asked = {path: pool.submit(look, path) for path in paths}
        try:
            for path, future in asked.items():
                if reason := _failure(future):
                    failed[path] = reason
                else:
                    found[path] = future.result()
        finally:
            _stop(asked.values(), progress)
    return found, failed


def fetch_all(
    settings: CrawlSource,
    source: HttpSource,
    staging: Staging,
    remotes: Mapping[str, Remote],
    checksums: Mapping[str, str],
    progress: Progress,
    report: Callable[[str], object],
) -> dict[str, str]:
    """Fetch every path of `remotes` into `staging`; return those that failed, with the reason.

    `report` gets a line every `progress_seconds`, from the calling thread.
    """
    bucket = TokenBucket(settings.bytes_per_second)
    work = SegmentDownload(settings, source, staging, bucket, progress.pause, progress.arrived)
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(settings.connections) as pool:
        at_work = {
            pool.submit(work.fetch, path, remote, checksums.get(path)): path
            for path, remote in remotes.items()
        }
        pending: set[Future[Segment]] = set(at_work)
        due = progress.seconds + settings.progress_seconds
        try:
            while pending:
                done, pending = wait(pending, max(0.0, due - progress.seconds), FIRST_COMPLETED)
                failed |= {at_work[one]: reason for one in done if (reason := _failure(one))}
                if progress.seconds >= due:
                    report(progress.line(len(remotes) - len(pending), len(remotes)))
                    due += settings.progress_seconds
        finally:
            _stop(at_work, progress)
    return failed


def _failure(future: Future[Any]) -> str:
    """Return why a file failed, "" when it did not. What is nobody's failure (a full disk) is raised."""
    try:
        future.result()
    except DownloadError as error:
        return str(error)
    return ""


def _stop(futures: Iterable[Future[Any]], progress: Progress) -> None:
    """Stop what is still at work, so that an interrupted run ends soon."""
    progress.stop()
    for future in futures:
        future.cancel()

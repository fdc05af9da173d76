"""One file of a download: fetched in as many attempts as it takes, each going on where the last one ended.

    files/<name>            the file, whole and checked
    parts/<name>            what has arrived of it so far
    state/<name>.json       which version on the server that belongs to, and what it took

A process may be killed at any moment: the state is written before the first byte that it describes, and a file gets
its name only after it was checked.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from phoenix_assets.config import Config
from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.bandwidth import TokenBucket
from phoenix_assets.ingest.crawl_listing import file_name
from phoenix_assets.ingest.download_config import CrawlSource
from phoenix_assets.ingest.gzip_members import checked_sha256
from phoenix_assets.ingest.http_source import HttpSource, Remote
from phoenix_assets.ingest.retries import DamagedError, TransientError, persist

_BUFFER_BYTES: Final = 2**18


class Segment(Config):
    """What is known of one file: the version on the server, and what its download took over all runs."""

    file: str
    url: str
    bytes: int
    etag: str = ""
    last_modified: str = ""
    sha256: str = ""  # "" until the file is whole and checked
    attempts: int = 0
    resumed: int = 0  # attempts that went on within the file

    def is_of(self, remote: Remote) -> bool:
        """Return whether what has arrived is of this version of the file."""
        return (self.url, self.bytes, self.etag, self.last_modified) == (
            remote.url, remote.bytes, remote.etag, remote.last_modified,
        )  # fmt: skip


@dataclass(frozen=True)
class Staging:
    """The hidden folder in which a delivery is put together; the landing sensor does not look into it."""

    root: Path

    @property
    def files(self) -> Path:
        """The files that are whole."""
        return self.root / "files"

    def part(self, file: str) -> Path:
        """Return where the bytes of a file arrive."""
        return self.root / "parts" / file

    def make(self) -> None:
        """Make the folders."""
        for name in ("files", "parts", "state"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def segment(self, file: str) -> Segment | None:
        """Return what is known of a file; None when its download has not begun, or its state is of no use."""
        try:
            return Segment.model_validate_json(self._state(file).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def keep(self, segment: Segment) -> None:
        """Write what is known of a file, in one rename."""
        beside = self._state(segment.file).with_suffix(".new")
        beside.write_text(segment.model_dump_json(), "utf-8")
        beside.replace(self._state(segment.file))

    def count(self, file: str, *, attempts: int = 0, resumed: int = 0) -> Segment:
        """Add to what a file took, and return what is known of it now. Raises DownloadError when nothing is."""
        segment = self.segment(file)
        if segment is None:
            raise DownloadError(f"{self._state(file)} is gone; ask for the download again")
        counted = {"attempts": segment.attempts + attempts, "resumed": segment.resumed + resumed}
        segment = segment.model_copy(update=counted)
        self.keep(segment)
        return segment

    def finished(self, file: str) -> Segment | None:
        """Return what is known of a file that is whole and checked, else None."""
        segment, path = self.segment(file), self.files / file
        whole = segment and segment.sha256 and path.is_file() and path.stat().st_size == segment.bytes
        return segment if whole else None

    def _state(self, file: str) -> Path:
        return self.root / "state" / f"{file}.json"


@dataclass(frozen=True)
class SegmentDownload:
    """Downloads single files into a staging folder; many threads share it."""

    settings: CrawlSource
    source: HttpSource
    staging: Staging
    bucket: TokenBucket
    pause: Callable[[float], object]  # ends the download by an exception when it is to stop
    arrived: Callable[[int], object]  # told of every chunk's bytes

    def fetch(self, path: str, remote: Remote, sha256: str | None) -> Segment:
        """Return the segment once its file is whole and checked, against `sha256` where it is known.

        Raises DownloadError.
        """
        file = file_name(path)
        known = self.staging.segment(file)
        if known is None or not known.is_of(remote):
            _truncate(self.staging.part(file), 0)
            fresh = Segment(
                file=file,
                url=remote.url,
                bytes=remote.bytes,
                etag=remote.etag,
                last_modified=remote.last_modified,
            )
            self.staging.keep(fresh)
        self.staging.part(file).touch()
        return persist(
            lambda: self._attempt(path, remote, sha256),
            name=path,
            retries=self.settings.retries,
            pause=self.pause,
        )

    def _attempt(self, path: str, remote: Remote, sha256: str | None) -> Segment:
        file = file_name(path)
        part = self.staging.part(file)
        offset = part.stat().st_size if remote.validator else 0
        self.staging.count(file, attempts=1)
        try:
            if offset != remote.bytes:
                self._receive(path, remote, offset)
            found = self._checked(part, sha256)
        except DamagedError:
            _truncate(part, 0)
            raise
        segment = self.staging.count(file).model_copy(update={"sha256": found})
        self.staging.keep(segment)
        part.replace(self.staging.files / file)
        return segment

    def _receive(self, path: str, remote: Remote, offset: int) -> None:
        part = self.staging.part(file_name(path))
        deadline = time.monotonic() + self.settings.timeouts.attempt_seconds
        with self.source.stream(path, remote, offset) as (size, chunks):
            self.staging.count(part.name, resumed=int(size > 0))
            _truncate(part, size)
            with part.open("ab", _BUFFER_BYTES) as file:
                for chunk in chunks:
                    size += len(chunk)
                    if size > remote.bytes:
                        raise DamagedError(
                            f"{remote.url}: more than the {remote.bytes} bytes that it should have"
                        )
                    file.write(chunk)
                    self.arrived(len(chunk))
                    self.pause(self.bucket.take(len(chunk)))
                    if size < remote.bytes and time.monotonic() > deadline:
                        raise TransientError(
                            f"{remote.url}: {size} of {remote.bytes} bytes when the time was over"
                        )
                file.flush()
                os.fsync(file.fileno())
        if size < remote.bytes:
            raise TransientError(f"{remote.url}: ended after {size} of {remote.bytes} bytes")

    def _checked(self, part: Path, sha256: str | None) -> str:
        found = checked_sha256(part, max_expansion=self.settings.limits.max_expansion)
        if sha256 is not None and found != sha256:
            raise DamagedError(f"{part.name} has SHA-256 {found}, it should have {sha256}")
        return found


def _truncate(path: Path, size: int) -> None:
    """Cut a file, which may not be there yet, in place: nothing of it goes to the trash."""
    with path.open("ab") as file:
        file.truncate(size)

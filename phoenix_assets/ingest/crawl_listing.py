"""Listings as Common Crawl publishes them (`warc.paths.gz`: one path a line), and the deliveries cut from them.

A listing is untrusted: it may be a bomb, and its names become URLs and file names. One bad line refuses it whole,
since leaving the line out would move every file after it to another delivery.
"""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.download_config import DownloadLimits
from phoenix_assets.ingest.streams import GZIP_MAGIC

KERNEL_VERSION: Final = "1"

MAX_NAME: Final = 200  # characters of a file's name; file systems allow 255 bytes
_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._=+-]*"  # no hidden names, no `..`
_PATH: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_SNAPSHOT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_DELIVERY: Final = re.compile(rf"({_SNAPSHOT.pattern})-([0-9]{{3,}})")
_CHECKSUM: Final = re.compile(r"([0-9a-f]{64})[ \t]+\*?(\S+)")


@dataclass(frozen=True)
class CrawlDelivery:
    """A group of a snapshot's files: the delivery's name, and the files' paths relative to the base URL."""

    name: str
    paths: tuple[str, ...]


def read_listing(body: bytes, folder: str, limits: DownloadLimits) -> tuple[str, ...]:
    """Return the paths of a listing, in its order; all lie below `folder`, the listing's own.

    Raises DownloadError naming the line and what is wrong with it.
    """
    paths = list(_lines(body, limits))
    seen: dict[str, int] = {}
    for number, path in enumerate(paths, 1):
        problem = _problem(path, folder, limits)
        if not problem and path in seen:
            problem = f"repeats line {seen[path]}"
        if problem:
            raise DownloadError(
                f"line {number} of the listing, {path[:80]!r}, {problem}; the listing is refused"
            )
        seen[path] = number
    return tuple(paths)


def read_checksums(body: bytes, limits: DownloadLimits) -> dict[str, str]:
    """Return path → SHA-256 from a listing in the format of `sha256sum`. Raises DownloadError for a bad line."""
    found = {}
    for number, line in enumerate(_lines(body, limits), 1):
        match = _CHECKSUM.fullmatch(line)
        if match is None:
            raise DownloadError(f"line {number} of the checksums, {line[:80]!r}, is not `<SHA-256>  <path>`")
        found[match.group(2)] = match.group(1)
    return found


def cut(snapshot: str, paths: tuple[str, ...], files_per_delivery: int) -> list[CrawlDelivery]:
    """Return the deliveries of a snapshot: its files in the listing's order, `files_per_delivery` in each."""
    starts = range(0, len(paths), files_per_delivery)
    return [
        CrawlDelivery(f"{snapshot}-{number:03d}", paths[start : start + files_per_delivery])
        for number, start in enumerate(starts)
    ]


def check_snapshot(snapshot: str) -> str:
    """Return the name of a snapshot. Raises DownloadError unless it is one."""
    if not _SNAPSHOT.fullmatch(snapshot):
        raise DownloadError(f"{snapshot!r} is not a snapshot; use a name such as CC-MAIN-2024-22")
    return snapshot


def snapshot_of(delivery: str) -> str:
    """Return the snapshot that a delivery belongs to. Raises DownloadError for another kind of name."""
    match = _DELIVERY.fullmatch(delivery)
    if match is None:
        raise DownloadError(f"{delivery!r} is not <snapshot>-<number>, such as CC-MAIN-2024-22-000")
    return match.group(1)


def file_name(path: str) -> str:
    """Return the name that the file at `path` has within its delivery."""
    return PurePosixPath(path).name


def _problem(path: str, folder: str, limits: DownloadLimits) -> str:
    if len(path) > limits.max_path_characters or len(file_name(path)) > MAX_NAME:
        return f"is longer than {limits.max_path_characters} characters, or its name than {MAX_NAME}"
    if not _PATH.fullmatch(path):
        return "is not a plain relative path"
    if not path.startswith(f"{folder}/"):
        return f"is not below {folder}/"
    return "" if path.endswith(".gz") else "does not end in .gz"


def _lines(body: bytes, limits: DownloadLimits) -> Iterator[str]:
    """Yield the lines that are not empty. Raises DownloadError when the body is damaged, no text or too large."""
    try:
        with io.BytesIO(body) as packed:
            unpacked = gzip.GzipFile(fileobj=packed) if body.startswith(GZIP_MAGIC) else packed
            content = unpacked.read(limits.max_listing_bytes + 1)
        if len(content) > limits.max_listing_bytes:
            raise DownloadError(f"the listing unpacks to more than {limits.max_listing_bytes} bytes")
        lines = [line for line in content.decode("ascii").split("\n") if line]
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DownloadError(f"the listing cannot be read: {error}") from error
    if not lines or len(lines) > limits.max_files:
        raise DownloadError(f"the listing has {len(lines)} lines; 1 to {limits.max_files} are expected")
    yield from lines

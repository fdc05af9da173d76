"""Where deliveries land: a folder of this machine, and folders anywhere else that fsspec can reach.

Both say the same of a delivery: its entries (what a change of any file changes) and its manifest. What lies in the local
folder is read where it is; what lies elsewhere is fetched into it, once somebody takes the delivery.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import fsspec
from pydantic import Field, JsonValue

from phoenix_assets.config import Config
from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.delivery import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    DeliveredFile,
    DeliveryRejected,
    manifest_bytes,
    no_manifest,
)
from phoenix_assets.schema import RejectReason

_STAMPS: Final = ("ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "last_modified", "created")
_ORIGIN: Final = ".origin"


class RemoteConfig(Config):
    """A place that is watched beside the local folder: a URL that fsspec knows, and what its file system is told."""

    url: str = Field(pattern=r"^[a-z0-9+]+:{1,2}")
    options: dict[str, JsonValue] = Field(default_factory=dict)  # no keys: those come from the environment


@dataclass(frozen=True)
class Entry:
    """A file or folder of a delivery, as its place lists it."""

    path: str  # below the delivery's folder, "" for the folder itself
    bytes: int
    stamp: str  # another one whenever it is written again
    modified: float | None  # seconds since 1970, by the place's own clock
    is_file: bool = True


class Place(Protocol):
    """Somewhere that deliveries land."""

    @property
    def url(self) -> str:
        """The place's URL, "" for the local folder."""

    def names(self) -> list[tuple[str, str]]:
        """Return (source, delivery) of every delivery folder, hidden ones left out. Raises OSError."""

    def entries(self, source: str, delivery: str) -> list[Entry]:
        """Return what a delivery folder holds. Raises OSError; DeliveryRejected for a link in place of a folder."""

    def manifest(self, source: str, delivery: str) -> bytes:
        """Return a delivery's manifest. Raises OSError; DeliveryRejected when it has none."""


@dataclass(frozen=True)
class LocalPlace:
    """`<folder>/<source>/<delivery>/`. What was fetched from elsewhere has landed there, not here."""

    folder: Path
    url: str = ""

    def names(self) -> list[tuple[str, str]]:
        """Return (source, delivery) of every delivery folder, hidden ones left out."""
        found = []
        for source in _folders(self.folder):
            with os.scandir(self.folder / source) as entries:
                listed = list(entries)
            fetched = {entry.name for entry in listed if entry.name.endswith(_ORIGIN)}
            found += [
                (source, entry.name)
                for entry in listed
                if not entry.name.startswith(".")
                and entry.is_dir()
                and f".{entry.name}{_ORIGIN}" not in fetched
            ]
        return sorted(found)

    def entries(self, source: str, delivery: str) -> list[Entry]:
        """Return what a delivery folder holds, itself included; links are not followed into folders."""
        folder = self.folder / source / delivery
        if folder.is_symlink():
            message = "the delivery is a link to a folder elsewhere; deliver the folder itself"
            raise DeliveryRejected(RejectReason.PATH_ESCAPES, message)
        return sorted(_walk(folder), key=lambda entry: entry.path)

    def manifest(self, source: str, delivery: str) -> bytes:
        """Return a delivery's manifest."""
        return manifest_bytes(self.folder / source / delivery)


@dataclass(frozen=True)
class RemotePlace:
    """`<url>/<source>/<delivery>/` on any file system that fsspec knows."""

    settings: RemoteConfig

    @property
    def url(self) -> str:
        """The place's URL."""
        return self.settings.url

    def names(self) -> list[tuple[str, str]]:
        """Return (source, delivery) of every delivery folder, hidden ones left out."""
        with self._reached() as (system, root):
            system.invalidate_cache()
            return sorted(
                (source, delivery)
                for source in _folders_of(system, root)
                for delivery in _folders_of(system, f"{root}/{source}")
            )

    def entries(self, source: str, delivery: str) -> list[Entry]:
        """Return the files of a delivery folder."""
        with self._reached() as (system, root):
            folder = f"{root}/{source}/{delivery}"
            system.invalidate_cache(folder)
            found = system.find(folder, detail=True)
        return [
            Entry(path[len(folder) :].strip("/"), int(info.get("size") or 0), _stamp(info), _modified(info))
            for path, info in sorted(found.items())
        ]

    def manifest(self, source: str, delivery: str) -> bytes:
        """Return a delivery's manifest."""
        with self._reached() as (system, root):
            path = f"{root}/{source}/{delivery}/{MANIFEST_NAME}"
            try:
                return bytes(system.cat_file(path, start=0, end=MAX_MANIFEST_BYTES + 1))
            except (FileNotFoundError, IsADirectoryError):
                raise no_manifest() from None

    def fetch(self, source: str, delivery: str, files: Iterable[DeliveredFile], folder: Path) -> int:
        """Copy the files that are there into `folder`; return their bytes. Raises DownloadError for one cut short."""
        there = {entry.path: entry.bytes for entry in self.entries(source, delivery)}
        wanted = [file.path for file in files if file.path in there]
        for path in wanted:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with self._reached() as (system, root):
            origins = [f"{root}/{source}/{delivery}/{path}" for path in wanted]
            system.get(origins, [str(folder / path) for path in wanted])
        for path in wanted:
            if (size := (folder / path).stat().st_size) != there[path]:
                raise DownloadError(
                    f"{self.url}: {source}/{delivery}/{path} has {there[path]} bytes, {size} arrived; fetch it again"
                )
        return sum(there[path] for path in wanted)

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        """Give the file system and the path of the place in it; whatever a back end raises becomes an OSError."""
        try:
            system, root = fsspec.core.url_to_fs(self.url, **self.settings.options)
            yield system, root.rstrip("/")
        except (OSError, DeliveryRejected):
            raise
        except Exception as error:
            raise OSError(f"{self.url}: {type(error).__name__}: {error}") from error


def origin_of(folder: Path) -> str:
    """Return the URL of the place that the delivery in a local folder was fetched from, "" for none."""
    mark = _mark(folder)
    return mark.read_text("utf-8") if mark.is_file() else ""


def mark_origin(folder: Path, url: str) -> None:
    """Note where the delivery in a local folder is fetched from; the note lies beside it."""
    _mark(folder).write_text(url, "utf-8")


def _mark(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_ORIGIN}")


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except FileNotFoundError:
        return []


def _folders_of(system: Any, path: str) -> list[str]:
    try:
        listed = system.ls(path, detail=True)
    except FileNotFoundError:
        return []
    names = (info["name"].rstrip("/").rpartition("/")[2] for info in listed if info["type"] == "directory")
    return [name for name in names if not name.startswith(".")]


def _walk(folder: Path) -> Iterator[Entry]:
    itself = folder.lstat()
    yield Entry("", 0, str(itself.st_mtime_ns), itself.st_mtime, is_file=False)
    todo = [""]
    while todo:
        below = todo.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                path = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    todo.append(f"{path}/")
                stamp = f"{status.st_size}|{status.st_mtime_ns}"
                yield Entry(path, _bytes(entry, status), stamp, status.st_mtime, is_file=entry.is_file())


def _bytes(entry: os.DirEntry[str], status: os.stat_result) -> int:
    """Return the bytes of a file, or of the one that a link leads to: whether it may lead there is another question."""
    if not entry.is_symlink():
        return status.st_size
    try:
        return entry.stat().st_size
    except OSError:  # a link to nothing, or to itself
        return 0


def _stamp(info: dict[str, Any]) -> str:
    return "|".join(str(info[name]) for name in ("size", *_STAMPS) if info.get(name) is not None)


def _modified(info: dict[str, Any]) -> float | None:
    for name in ("mtime", "LastModified", "last_modified", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None

"""What may still be written under `$PHOENIX_HOME`, and what has to wait until deleted files free their space.

    room = capacity - bytes in use - bytes in the trash - bytes promised to writers at work - what is kept free

A shared file system frees the space of deleted files days later, and does not say when: our own deletions are written
to a journal, so that a refusal can name the date at which there will be room. With no capacity configured, the file
system's own free space stands for the first three terms: what waits in its trash is not free.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.errors import StorageError

_GIGABYTE: Final = 10**9


class StorageConfig(Config):
    """`config/storage.yaml`."""

    capacity_bytes: int | None = Field(default=None, gt=0)
    trash_days: float = Field(ge=0)
    keep_free_bytes: int = Field(ge=0)


class Deletion(Config):
    """A line of the journal: what was deleted, how large it was, and when (UTC)."""

    path: str
    bytes: int = Field(ge=0)
    deleted_at: datetime


class _Promise(Config):
    """What a writer at work will have written into a folder when it ends."""

    folder: str
    bytes: int


@dataclass(frozen=True)
class Room:
    """The bytes that may be written now, and those that come free later: (when, bytes), earliest first."""

    bytes: int
    waiting: tuple[tuple[datetime, int], ...]

    def fits_at(self, wanted: int, now: datetime) -> datetime | None:
        """Return when `wanted` bytes will fit: `now`, a later date, or None for never."""
        room = self.bytes
        if wanted <= room:
            return now
        for when, count in self.waiting:
            room += count
            if wanted <= room:
                return when
        return None


class StorageBudget:
    """The budget of one `$PHOENIX_HOME`. Every process that writes much asks it, every one that deletes much tells it."""

    def __init__(self, home: Path, settings: StorageConfig) -> None:
        self._home = home
        self._settings = settings
        self._folder = home / "storage"

    def delete(self, path: Path, now: datetime) -> int:
        """Delete a file or a folder and write it to the journal; return its bytes.

        The journal comes first: after a crash in between too much is held back, never too little.
        """
        count = tree_bytes(path)
        self._note(path, count, now)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return count

    def delete_files(self, folder: Path, files: Iterable[Path], count: int, now: datetime) -> None:
        """Delete files below a folder, which hold `count` bytes, and write that to the journal as one deletion."""
        self._note(folder, count, now)
        for path in files:
            path.unlink(missing_ok=True)

    def _note(self, path: Path, count: int, now: datetime) -> None:
        gone = Deletion(path=str(path), bytes=count, deleted_at=now.astimezone(UTC))
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked(), (self._folder / "trash.jsonl").open("ab") as journal:
            # A line of its own, also after one that a crash cut short.
            journal.write(b"\n" + gone.model_dump_json().encode() + b"\n")

    def room(self, now: datetime) -> Room:
        """Return what may be written at `now`."""
        waiting = self._waiting(now)
        if self._settings.capacity_bytes is None:
            self._home.mkdir(parents=True, exist_ok=True)
            system = os.statvfs(self._home)
            free = system.f_bavail * system.f_frsize
        else:
            in_trash = sum(count for _, count in waiting)
            free = self._settings.capacity_bytes - tree_bytes(self._home) - in_trash
        return Room(free - self._promised() - self._settings.keep_free_bytes, waiting)

    @contextlib.contextmanager
    def reserve(self, name: str, whole: int, folder: Path, now: datetime) -> Iterator[None]:
        """Hold room for `whole` bytes in `folder`, less what it holds already, until the context ends.

        A reservation is a file that its process keeps locked: it ends with the process, however that ends. Raises
        StorageError when there is no room, saying when there will be, or when another process holds `name`.
        """
        path = self._reservations / f"{name.replace('/', '.')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            with self._locked():
                file = held.enter_context(path.open("a+", encoding="utf-8"))
                if not _lock_now(file.fileno()):
                    raise StorageError(f"{name} is being written by another run; wait for its end")
                file.truncate(0)
                missing = whole - tree_bytes(folder)
                room = self.room(now)
                if missing > room.bytes:
                    path.unlink()
                    raise StorageError(self._refusal(name, missing, room, now))
                file.write(_Promise(folder=str(folder), bytes=whole).model_dump_json())
                file.flush()
            try:
                yield
            finally:
                with self._locked():
                    path.unlink(missing_ok=True)

    @property
    def _reservations(self) -> Path:
        return self._folder / "reserved"

    def _promised(self) -> int:
        """Return the bytes that writers at work have not written yet."""
        lacking = 0
        for path in sorted(self._reservations.glob("*.json")):
            with path.open("r+", encoding="utf-8") as file:
                if _lock_now(file.fileno()):  # its process has ended
                    continue
                content = file.read()
            if not content:  # being made
                continue
            promise = _Promise.model_validate_json(content)
            lacking += max(0, promise.bytes - tree_bytes(Path(promise.folder)))
        return lacking

    def _waiting(self, now: datetime) -> tuple[tuple[datetime, int], ...]:
        kept = timedelta(days=self._settings.trash_days)
        gone = ((one.deleted_at + kept, one.bytes) for one in self._deletions())
        return tuple(sorted((when, count) for when, count in gone if when > now))

    def _deletions(self) -> Iterator[Deletion]:
        journal = self._folder / "trash.jsonl"
        for line in journal.read_text("utf-8").splitlines() if journal.exists() else ():
            # A line that a crash cut short stands for a deletion that did not begin.
            with contextlib.suppress(ValidationError):
                yield Deletion.model_validate_json(line)

    def _refusal(self, name: str, wanted: int, room: Room, now: datetime) -> str:
        lacking = wanted - room.bytes
        text = (
            f"{name} needs {_gigabytes(wanted)}, {_gigabytes(max(0, room.bytes))} may be written: "
            f"{_gigabytes(lacking)} ({lacking} bytes) are missing"
        )
        when = room.fits_at(wanted, now)
        if when is not None:
            return f"{text}. It will fit on {when:%Y-%m-%d %H:%M} UTC, when deleted files have left the trash"
        short = lacking - sum(count for _, count in room.waiting)
        return (
            f"{text}. It will never fit as things are: when the trash is empty {_gigabytes(short)} are still missing; "
            "delete what is not needed, or raise the capacity in config/storage.yaml"
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def load_storage() -> StorageConfig:
    """Return `config/storage.yaml`."""
    return load(StorageConfig, config_dir() / "storage.yaml")


def tree_bytes(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder, each once however many names it has; 0 for nothing."""
    if path.is_file() or path.is_symlink():
        return path.lstat().st_size
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # others write and delete meanwhile
                status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - a Path a file would cost too much
                if status.st_nlink == 1 or (status.st_dev, status.st_ino) not in seen:
                    total += status.st_size
                if status.st_nlink > 1:
                    seen.add((status.st_dev, status.st_ino))
    return total


def _lock_now(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _gigabytes(count: int) -> str:
    return f"{count / _GIGABYTE:.2f} GB"

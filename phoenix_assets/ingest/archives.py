"""Members of zip and tar archives, one at a time, never written to disk and never larger than the limits.

A member is a name, bytes and, when it may not be used, the reason why. Names are only labels; those that
would lead outside the archive are refused all the same, for whoever made them did not mean well.
"""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import RecordRejected, Reject
from phoenix_assets.ingest.streams import open_stream, refuse_bomb
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_ENCRYPTED_FLAG: Final = 0x1
_MAX_TAR_HEADER_BYTES: Final = 2**20
_TAR_HEADER_TYPES: Final = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    }
)


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive."""

    name: str
    content: bytes


class ZipMembers:
    """A zip archive read member by member.

    All that is read together stays in proportion to the archive's size.
    """

    def __init__(self, archive: zipfile.ZipFile, archive_bytes: int, limits: ReaderLimits) -> None:
        self._archive = archive
        self._archive_bytes = archive_bytes
        self._limits = limits
        self._read_bytes = 0
        if len(archive.infolist()) > limits.max_members:
            detail = f"the archive has more than {limits.max_members} members"
            raise RecordRejected(RejectReason.BOMB, detail)
        self.names = list(dict.fromkeys(info.filename for info in archive.infolist() if not info.is_dir()))

    def read(self, name: str) -> bytes:
        """Return a member's bytes.

        Raises RecordRejected: path_escapes, link, encrypted, too_large, bomb or corrupt.
        """
        refuse_escape(name)
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise RecordRejected(RejectReason.CORRUPT, f"the archive has no member {name!r}") from error
        if stat.S_ISLNK(info.external_attr >> 16):
            raise RecordRejected(RejectReason.LINK, f"{name} is a link; only regular files are read")
        if info.flag_bits & _ENCRYPTED_FLAG:
            raise RecordRejected(RejectReason.ENCRYPTED, f"{name} is encrypted")
        refuse_bomb(info.file_size, info.compress_size, self._limits)
        if info.file_size > self._limits.max_member_bytes:
            detail = f"{name} is larger than {self._limits.max_member_bytes} bytes"
            raise RecordRejected(RejectReason.TOO_LARGE, detail)
        try:
            with self._archive.open(info) as stream:
                content = stream.read(info.file_size)  # never more than the directory promises
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
            raise RecordRejected(RejectReason.CORRUPT, f"{name} cannot be unpacked: {error}") from error
        self._read_bytes += len(content)
        refuse_bomb(self._read_bytes, self._archive_bytes, self._limits)
        return content


def open_zip(path: Path, limits: ReaderLimits) -> ZipMembers:
    """Open the zip archive at `path`.

    Raises RecordRejected: corrupt, truncated or bomb (too many members).
    """
    try:
        return ZipMembers(zipfile.ZipFile(path), path.stat().st_size, limits)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        with path.open("rb") as stream:
            starts_well = stream.read(4) == b"PK\x03\x04"
        reason = RejectReason.TRUNCATED if starts_well else RejectReason.CORRUPT
        raise RecordRejected(
            reason, f"the archive cannot be opened, its directory is missing: {error}"
        ) from error


def zip_members(path: Path, limits: ReaderLimits, wanted: Callable[[str], bool]) -> Iterator[Member | Reject]:
    """Yield the wanted members of a zip archive in archive order; what cannot be used comes as a Reject."""
    archive = open_zip(path, limits)
    for name in archive.names:
        if not wanted(name):
            continue
        try:
            yield Member(name, archive.read(name))
        except RecordRejected as problem:
            yield Reject(name, problem.reason, problem.detail)


def tar_members(path: Path, limits: ReaderLimits, wanted: Callable[[str], bool]) -> Iterator[Member | Reject]:
    """Yield the wanted regular files of a tar archive, plain or compressed, in one pass; links come as Rejects.

    Raises RecordRejected: bomb, truncated or corrupt, after the members before the damage.
    """
    with open_stream(path, limits) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_BoundedTarInfo, errorlevel=1) as archive:
                for number, info in enumerate(archive):
                    if number >= limits.max_members:
                        detail = f"the archive has more than {limits.max_members} members"
                        raise RecordRejected(RejectReason.BOMB, detail)
                    if (info.isreg() or info.issym() or info.islnk()) and wanted(info.name):
                        yield _tar_member(archive, info, limits)
        except (tarfile.TarError, EOFError) as error:
            reason = RejectReason.TRUNCATED if "unexpected end" in str(error) else RejectReason.CORRUPT
            raise RecordRejected(reason, f"the archive cannot be read on: {error}") from error


def refuse_escape(name: str) -> None:
    """Raise RecordRejected (path_escapes) if a member's name leads outside its archive."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or parts[0].endswith(":") or "\0" in name:
        raise RecordRejected(RejectReason.PATH_ESCAPES, f"member name {name!r} leads outside the archive")


class _BoundedTarInfo(tarfile.TarInfo):
    """Refuses extension headers (long names, pax records) of a size that only an attack has."""

    def _proc_member(self, archive: tarfile.TarFile) -> Self:
        if self.type in _TAR_HEADER_TYPES and self.size > _MAX_TAR_HEADER_BYTES:
            raise RecordRejected(RejectReason.BOMB, f"an archive header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo, limits: ReaderLimits) -> Member | Reject:
    try:
        refuse_escape(info.name)
        if not info.isreg():
            detail = f"{info.name} is a link to {info.linkname!r}; only regular files are read"
            raise RecordRejected(RejectReason.LINK, detail[:1000])
        if info.size > limits.max_member_bytes:
            detail = f"{info.name} is larger than {limits.max_member_bytes} bytes"
            raise RecordRejected(RejectReason.TOO_LARGE, detail)
    except RecordRejected as problem:
        return Reject(info.name, problem.reason, problem.detail)
    member = archive.extractfile(info)
    content = member.read() if member else b""
    if len(content) < info.size:
        raise RecordRejected(RejectReason.TRUNCATED, f"the archive ends within {info.name}")
    return Member(info.name, content)

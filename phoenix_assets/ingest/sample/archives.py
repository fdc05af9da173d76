"""Fetch package archives into a cache and read their members, without installing anything.

An archive is fetched once: a file in the cache is used as it is. Debian packages come through `apt-get
download` (with package lists of our own where the system has none, so no root is needed), wheels through
`pip download`, source distributions too, and the CPython archive is the running interpreter's standard library, read in place.
Members are read as streams: nothing is unpacked to disk, links are not followed.
"""

import fnmatch
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phoenix_assets.errors import PhoenixError
from phoenix_assets.ingest.sample.config import Archive, ArchiveKind

Progress = Callable[[str], None]


class ArchiveError(PhoenixError):
    """A package archive cannot be fetched or read, or is not what the configuration says."""


@dataclass(frozen=True)
class Fetched:
    """An archive at hand. `path` is a file, or the standard library's folder for CPython."""

    name: str
    version: str
    sha256: str
    licence: str
    path: Path


def fetch(name: str, archive: Archive, cache: Path, progress: Progress, limit_s: int) -> Fetched:
    """Return the archive from `cache`, downloading it first if it is not there.

    Raises ArchiveError when it cannot be fetched; the message says what to do.
    """
    if archive.kind is ArchiveKind.CPYTHON:
        root = Path(sysconfig.get_path("stdlib"))
        return Fetched(name, platform.python_version(), _tree_sha256(root, archive), archive.licence, root)
    folder = cache / archive.kind / (f"{name}-{archive.version}" if archive.version else name)
    if not _archive_files(folder):
        progress(f"fetching {archive.kind} archive {name}")
        _download(name, archive, folder, cache, limit_s)
    path = _archive_files(folder)[-1]
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Fetched(name, archive.version or _deb_version(path), sha256, archive.licence, path)


def read_members(fetched: Fetched, archive: Archive) -> dict[str, bytes]:
    """Return the wanted members (path → bytes, in path order) and check the archive's licence statement.

    Raises ArchiveError when no member matches or the licence statement is missing.
    """
    readers = {
        ArchiveKind.DEB: _deb_members,
        ArchiveKind.PYPI: _wheel_members,
        ArchiveKind.SDIST: _sdist_members,
        ArchiveKind.CPYTHON: _tree_members,
    }
    wanted = {}
    statement: bytes | None = None
    for path, read in readers[archive.kind](fetched.path):
        if path == archive.evidence.member:
            statement = read()
        if _matches(path, archive.members) and not _matches(path, archive.skip):
            wanted[path] = read()
    said = " ".join((statement or b"").decode("utf-8", "replace").split())
    if archive.evidence.says not in said:
        raise ArchiveError(
            f"{fetched.path}: {archive.evidence.member} does not say {archive.evidence.says!r}; "
            f"read the licence of {fetched.version} and correct `{fetched.name}` in config/sample.yaml"
        )
    if not wanted:
        raise ArchiveError(
            f"{fetched.path}: no member matches {list(archive.members)}; {fetched.version} is laid out "
            f"differently: correct `members` of `{fetched.name}` in config/sample.yaml"
        )
    return dict(sorted(wanted.items()))


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _archive_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in {".deb", ".whl", ".gz"})


def _deb_version(path: Path) -> str:
    """Return the version in a name that apt-get gave: `<package>_<version, quoted>_<architecture>.deb`."""
    return urllib.parse.unquote(path.name.split("_")[1])


def _download(name: str, archive: Archive, folder: Path, cache: Path, limit_s: int) -> None:
    """Download beside `folder`, then rename: an archive is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as temporary:
        target = Path(temporary) / "archive"
        target.mkdir()
        if archive.kind is ArchiveKind.DEB:
            _apt_download(name, target, cache, limit_s)
        else:
            form = "--only-binary" if archive.kind is ArchiveKind.PYPI else "--no-binary"
            _pip_download(f"{name}=={archive.version}", form, target, limit_s)
        if len(_archive_files(target)) != 1:
            raise ArchiveError(
                f"fetching {name} left {len(list(target.iterdir()))} files instead of one archive; try again"
            )
        try:
            target.rename(folder)
        except OSError:  # another build was faster: its archive is as good
            if not _archive_files(folder):
                raise


def _run(command: list[str], folder: Path, limit_s: int) -> str | None:
    """Run `command` in `folder`; return None on success, else the last lines that it wrote."""
    environment = os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no end after {limit_s} s"
    return None if done.returncode == 0 else "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])


def _apt_download(package: str, target: Path, cache: Path, limit_s: int) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ArchiveError(
            f"{package} is a Debian package, and apt-get or dpkg-deb is not here: run on Debian or Ubuntu, "
            f"or fetch `{package}_*_all.deb` elsewhere and put it into {cache / ArchiveKind.DEB / package}/"
        )
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    if _run([*command, "download", package], target, limit_s) is None:
        return
    state = cache.resolve() / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    command += ["-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state}"]
    failure = _run([*command, "update"], target, limit_s) or _run(
        [*command, "download", package], target, limit_s
    )
    if failure is not None:
        raise ArchiveError(
            f"apt-get cannot download {package}, neither with the system's package lists nor with "
            f"lists of its own under {state}:\n{failure}\n"
            "check the network and /etc/apt/sources.list*, run `apt-get update`, then try again; "
            f"or put `{package}_*_all.deb` into {cache / ArchiveKind.DEB / package}/"
        )


def _pip_download(requirement: str, form: str, target: Path, limit_s: int) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    failure = _run([*command, form, ":all:", "--dest", ".", requirement], target, limit_s)
    if failure is not None:
        raise ArchiveError(
            f"pip cannot download {requirement}:\n{failure}\ncheck the network and pip's index"
        )


_Members = Iterator[tuple[str, Callable[[], bytes]]]


def _deb_members(path: Path) -> _Members:
    """Stream the regular files of a Debian package; dpkg-deb knows every compression that packages use."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                if member.isreg():
                    yield re.sub(r"^\./", "", member.name), functools.partial(_tar_bytes, tar, member)
        process.stdout.read()  # type: ignore[union-attr]  # padding after the end mark
    if process.returncode != 0:
        raise ArchiveError(
            f"{path}: dpkg-deb cannot read it (exit {process.returncode}); delete it and build again"
        )


def _tar_bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file is not None else b""


def _wheel_members(path: Path) -> _Members:
    try:
        with zipfile.ZipFile(path) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    yield info.filename, functools.partial(wheel.read, info)
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"{path}: not a whole wheel ({error}); delete it and build again") from error


def _sdist_members(path: Path) -> _Members:
    """Stream the regular files of a source distribution, without its top folder."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                if member.isreg():
                    yield member.name.partition("/")[2], functools.partial(_tar_bytes, tar, member)
    except tarfile.TarError as error:
        raise ArchiveError(f"{path}: not a whole archive ({error}); delete it and build again") from error


def _tree_members(root: Path) -> _Members:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - {"site-packages", "dist-packages", "__pycache__"})
        for path in (Path(folder) / name for name in sorted(files)):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root).as_posix(), path.read_bytes


def _tree_sha256(root: Path, archive: Archive) -> str:
    """Hash names and bytes of the wanted files: a folder's stand-in for an archive's checksum."""
    total = hashlib.sha256()
    for path, read in _tree_members(root):
        if _matches(path, archive.members) and not _matches(path, archive.skip):
            total.update(f"{path}\0{hashlib.sha256(read()).hexdigest()}\n".encode())
    return total.hexdigest()

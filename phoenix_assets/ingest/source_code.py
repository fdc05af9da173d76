"""Source code to one record a file: a repository as tar or zip archive or as delivered folder, or a single source file.

What counts as source code, and in which language, is in the reader limits (`code_languages`); other members (images, data,
binaries) are not documents and leave no trace. Files that nobody wrote (`code_exclusions`) and archives within the archive
are rejected. A repository's files come in the order of their dependencies (`dependency_order`); `meta` has their
repository, path in it, place in that order and licence. The title is the path within the archive or folder.
"""

import posixpath
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from phoenix_assets.ingest.archives import Member, tar_members, zip_members
from phoenix_assets.ingest.code_exclusions import is_generated_name, refuse_by_path, refuse_by_text
from phoenix_assets.ingest.code_references import references
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.dependency_order import SourceFile, dependency_order
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.licences import (
    declared_licence,
    governing_licence,
    is_licence_file,
    licence_of_text,
)
from phoenix_assets.ingest.records import Licence, MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import ZIP_MAGICS, peek, read_whole
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "4"

_ARCHIVES: Final = (
    ".zip",
    ".tar",
    ".tgz",
    ".tar.gz",
    ".tar.bz2",
    ".tar.xz",
    ".tar.zst",
    ".7z",
    ".rar",
    ".whl",
    ".jar",
)


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject for every source file; locators are paths within the archive.

    Raises RecordRejected where the archive cannot be read on, after the files before.
    """
    if not is_archive(path):
        yield _single(Member(path.name, read_whole(path, limits)), limits)
        return
    opened = zip_members if _is_zip(path) else tar_members
    members = opened(path, limits, lambda name: _is_wanted(name, limits))
    with SpooledTemporaryFile(max_size=limits.code.memory_bytes) as texts:
        repository = _Repository(limits, texts)
        problem = None
        try:
            for member in members:
                if reject := member if isinstance(member, Reject) else repository.add(member):
                    yield reject
        except RecordRejected as error:
            problem = error
        yield from repository.records(path.name.partition(".")[0])
        if problem:
            raise problem


def read_folder(
    paths: Mapping[str, Path], name: str, limits: ReaderLimits
) -> Iterator[tuple[str, Record | Reject | Licence]]:
    """Yield (its key in `paths`, what it is) for every file of a repository that was delivered as files.

    Keys are paths in the repository; `name` is what it is called without a top folder. Each file was delivered for
    source code, so what is neither that nor a licence is rejected. Locators are the files' own names.
    """
    with SpooledTemporaryFile(max_size=limits.code.memory_bytes) as texts:
        repository = _Repository(limits, texts)
        for file in sorted(paths):
            if result := _taken(repository, file, paths[file], limits):
                yield file, result
        for record in repository.records(name):
            yield record.locator, replace(record, locator=posixpath.basename(record.locator))


def _taken(repository: "_Repository", file: str, path: Path, limits: ReaderLimits) -> Reject | Licence | None:
    """Take a delivered file into the repository, or say why it becomes no record."""
    locator = posixpath.basename(file)
    try:
        content = read_whole(path, limits)
        if not content:
            raise RecordRejected(RejectReason.EMPTY_TEXT, "the file is empty")
        if reject := repository.add(Member(file, content)):
            return replace(reject, locator=locator)
        if language(file, limits) is None:
            if is_licence_file(file, None):
                return Licence()
            detail = "its name is in no language of `code_languages`; deliver it in its own format"
            raise RecordRejected(RejectReason.UNKNOWN_FORMAT, detail)
    except RecordRejected as problem:
        head = peek(path, limits.payload_bytes)
        return Reject(locator, problem.reason, f"{file}: {problem.detail}", head)
    return None


def is_archive(path: Path) -> bool:
    """Tell whether a file is an archive by its content."""
    return _is_zip(path) or peek(path, tarfile.BLOCKSIZE)[257:262] == b"ustar"


def is_archive_name(name: str) -> bool:
    """Tell whether a file is an archive by its name."""
    return name.lower().endswith(_ARCHIVES)


def language(name: str, limits: ReaderLimits) -> str | None:
    """Return the language of a file by its extension or whole name, None if it is not source code."""
    file = PurePosixPath(name).name.lower()
    return limits.code_languages.get(file) or limits.code_languages.get(file.rpartition(".")[2])


@dataclass(frozen=True, slots=True)
class _Written:
    """A source file, its text aside, which lies at `offset` of the repository's texts."""

    source: SourceFile
    name: str
    licence: str
    encoding: str
    offset: int
    size: int


@dataclass
class _Repository:
    """What one pass over an archive finds out; `texts` spills to disk when the repository is large."""

    limits: ReaderLimits
    texts: IO[bytes]
    files: dict[str, _Written] = field(default_factory=dict)  # by locator
    licences: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # by folder
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, member: Member) -> Reject | None:
        """Take a member in, or say why it becomes no record."""
        self.seen[member.name] += 1
        occurrence = self.seen[member.name]
        # A tar archive may hold a path several times, as it was at several times.
        locator = member.name if occurrence == 1 else f"{member.name}#{occurrence}"
        try:
            self._take(member, locator)
        except RecordRejected as problem:
            payload = member.content[: self.limits.payload_bytes]
            return Reject(locator, problem.reason, f"{member.name}: {problem.detail}", payload)
        return None

    def _take(self, member: Member, locator: str) -> None:
        in_language = language(member.name, self.limits)
        if is_licence_file(member.name, in_language):
            text, _ = decode(member.content, self.limits)
            if found := licence_of_text(text, self.limits.code.licence_likeness):
                self.licences[posixpath.dirname(member.name)].append(found)
            if in_language is None:
                return
        if is_archive_name(member.name):
            detail = (
                "an archive within the archive; deliver its files, or itself, as a repository of their own"
            )
            raise RecordRejected(RejectReason.NESTED_ARCHIVE, detail)
        refuse_by_path(member.name, self.limits.code)
        if in_language is None:
            return
        rules = self.limits.code
        text, encoding = _text(member, in_language, self.limits)
        needed = references(member.name, in_language, text[: rules.scanned_characters], rules.max_references)
        content = text.encode("utf-8", "surrogatepass")
        self.files[locator] = _Written(
            source=SourceFile(locator, in_language, needed),
            name=member.name,
            licence=declared_licence(text),
            encoding=encoding,
            offset=self.texts.tell(),
            size=len(content),
        )
        self.texts.write(content)

    def records(self, name: str) -> Iterator[Record]:
        """Yield the files that are not empty, in dependency order; `name` is of a repository without a top folder."""
        root = _common_folder(self.files)
        ordered = dependency_order(
            (file.source for file in self.files.values()), self.limits.code.max_references
        )
        written = (file for file in map(self.files.__getitem__, ordered) if file.size)
        for position, file in enumerate(written):
            self.texts.seek(file.offset)
            text = self.texts.read(file.size).decode("utf-8", "surrogatepass")
            meta: dict[str, MetaValue] = {
                "repository": root or name,
                "path": file.name.removeprefix(f"{root}/"),
                "position": position,
                "language": file.source.language,
                "licence": file.licence or governing_licence(file.name, self.licences),
                "encoding": file.encoding,
            }
            yield Record(file.source.path, "", file.name, "", text, meta)


def _single(member: Member, limits: ReaderLimits) -> Record | Reject:
    in_language = language(member.name, limits) or ""
    try:
        text, encoding = _text(member, in_language, limits)
    except RecordRejected as problem:
        payload = member.content[: limits.payload_bytes]
        return Reject(member.name, problem.reason, f"{member.name}: {problem.detail}", payload)
    meta = {"language": in_language, "licence": declared_licence(text), "encoding": encoding}
    return Record(member.name, "", member.name, "", text, meta)


def _text(member: Member, in_language: str, limits: ReaderLimits) -> tuple[str, str]:
    """Return a source file's text and encoding. Raises RecordRejected: invalid_encoding, generated, minified."""
    head = member.content[: limits.payload_bytes]
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RecordRejected(RejectReason.INVALID_ENCODING, "binary, though its name says source code")
    text, encoding = decode(member.content, limits)
    refuse_by_text(text, in_language, limits.code)
    return text.replace("\r\n", "\n"), encoding


def _is_wanted(name: str, limits: ReaderLimits) -> bool:
    in_language = language(name, limits)
    return (
        in_language is not None
        or is_licence_file(name, None)
        or is_generated_name(name, limits.code)
        or is_archive_name(name)
    )


def _common_folder(paths: Mapping[str, object]) -> str:
    """Return the one top folder that all paths are in, "" if there is none."""
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    return tops.pop() if len(tops) == 1 and all("/" in path for path in paths) else ""


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in ZIP_MAGICS

"""Source code to one record a file: a repository as tar or zip archive, or a single source file.

What counts as source code, and in which language, is in the reader limits (`code_languages`); other members
(images, data, binaries) are not documents and leave no trace. The title is the path within the repository.
"""

import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from phoenix_assets.ingest.archives import Member, tar_members, zip_members
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import ZIP_MAGICS, peek, read_whole
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject for every source file; locators are paths within the archive."""
    with path.open("rb") as stream:
        is_zip = stream.read(4) in ZIP_MAGICS
    if is_zip:
        members = zip_members(path, limits, _is_source(limits))
    elif _is_tar(path):
        members = tar_members(path, limits, _is_source(limits))
    else:
        members = iter([Member(path.name, read_whole(path, limits))])
    seen: Counter[str] = Counter()
    for member in members:
        if isinstance(member, Reject):
            yield member
        elif member.content:
            seen[member.name] += 1
            yield _source_file(member, seen[member.name], limits)


def language(name: str, limits: ReaderLimits) -> str | None:
    """Return the language of a file by its extension or whole name, None if it is not source code."""
    file = PurePosixPath(name).name.lower()
    return limits.code_languages.get(file) or limits.code_languages.get(file.rpartition(".")[2])


def _is_source(limits: ReaderLimits) -> Callable[[str], bool]:
    return lambda name: language(name, limits) is not None


def _is_tar(path: Path) -> bool:
    return peek(path, tarfile.BLOCKSIZE)[257:262] == b"ustar"


def _source_file(member: Member, occurrence: int, limits: ReaderLimits) -> Record | Reject:
    # A tar archive may hold a path several times, as it was at several times.
    locator = member.name if occurrence == 1 else f"{member.name}#{occurrence}"
    payload = member.content[: limits.payload_bytes]
    if b"\0" in payload and not payload.startswith((b"\xff\xfe", b"\xfe\xff")):
        detail = f"{member.name} is binary, though its name says source code"
        return Reject(locator, RejectReason.INVALID_ENCODING, detail, payload)
    try:
        text, encoding = decode(member.content, limits)
    except RecordRejected as problem:
        return Reject(locator, problem.reason, f"{member.name}: {problem.detail}", payload)
    meta = {"language": language(member.name, limits) or "", "encoding": encoding}
    return Record(locator, "", member.name, "", text.replace("\r\n", "\n"), meta)

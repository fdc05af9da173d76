"""The readers by format, and the one way to call them.

Whatever a file holds, what comes out are Records and Rejects.
"""

import errno
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from phoenix_assets.ingest import (
    epub,
    html,
    jsonl,
    parallel,
    pdf,
    plain,
    source_code,
    warc,
    wikidump,
)
from phoenix_assets.ingest.config import Format, ReaderLimits
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import ZIP_MAGICS, ZSTD_MAGIC, peek
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

Reader = Callable[[Path, ReaderLimits], Iterator[Record | Reject]]

READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        Format.WARC: warc.read,
        Format.HTML: html.read,
        Format.EPUB: epub.read,
        Format.PDF: pdf.read,
        Format.MEDIAWIKI: wikidump.read,
        Format.CODE: source_code.read,
        Format.QA_JSONL: jsonl.read_qa,
        Format.ARTICLE_JSONL: jsonl.read_articles,
        Format.K12_JSONL: jsonl.read_k12,
        Format.JSONL: jsonl.read,
        Format.TXT: plain.read,
        Format.PARALLEL_TSV: parallel.read,
    }
)

# Magic bytes at the beginning of a file, and what it is. Formats not among them are text, compressed or not.
_MAGIC: Final = (
    (b"%PDF-", "PDF"),
    *((magic, "a zip archive") for magic in ZIP_MAGICS),
    (ZSTD_MAGIC, "zstd"),
    (b"WARC/", "WARC"),
    (b"\x7fELF", "an executable"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\xd0\xcf\x11\xe0", "a Microsoft Office file"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PAR1", "Parquet"),
)
_TEXT: Final = frozenset({"text"})
_LOOKS: Final[Mapping[str, frozenset[str]]] = {
    Format.WARC: frozenset({"WARC", "zstd"}),
    Format.PDF: frozenset({"PDF"}),
    Format.EPUB: frozenset({"a zip archive"}),
    Format.CODE: _TEXT | {"a zip archive"},
}
_HEAD_BYTES: Final = 4096
# Libraries raise OSError without a number; a damaged offset makes them seek to an impossible place (EINVAL).
_OF_THE_CONTENT: Final = (None, errno.EINVAL)


def read_file(path: Path, format: str, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield what the reader of `format` finds in the file; every trouble with its content is a Reject.

    A trouble that ends the reading comes last, with locator "" (the whole file). Raises OSError only for what
    the disk says (no such file, no permission, I/O error).
    """
    reader = READERS.get(format)
    if reader is None:
        detail = f"no reader for format {format!r}; known are: {', '.join(sorted(READERS))}"
        yield Reject("", RejectReason.UNKNOWN_FORMAT, detail)
        return
    try:
        _refuse_mismatch(path, format)
        for result in reader(path, limits):
            yield _with_text(result)
    except RecordRejected as problem:
        yield Reject("", problem.reason, problem.detail, _head(path, limits.payload_bytes))
    except OSError as error:
        if error.errno not in _OF_THE_CONTENT:
            raise
        yield _broken(path, format, error, limits)
    except Exception as error:
        yield _broken(path, format, error, limits)


def _with_text(result: Record | Reject) -> Record | Reject:
    if isinstance(result, Record) and not result.text.strip():
        return Reject(result.locator, RejectReason.EMPTY_TEXT, "the record has no text")
    return result


def _broken(path: Path, format: str, error: Exception, limits: ReaderLimits) -> Reject:
    detail = f"the {format} reader cannot read this file: {type(error).__name__}: {error}"
    return Reject("", RejectReason.CORRUPT, detail[:1000], _head(path, limits.payload_bytes))


def _refuse_mismatch(path: Path, format: str) -> None:
    """Raise RecordRejected if the file's first bytes show that it is something else than its format says."""
    if path.stat().st_size == 0:
        raise RecordRejected(RejectReason.EMPTY_TEXT, "the file is empty")
    head = peek(path, _HEAD_BYTES)
    if not head:
        return  # damaged at its very beginning: the reader will say how
    kind = _kind(head)
    if format == Format.PDF and b"%PDF-" in head[:1024]:
        return
    if kind not in _LOOKS.get(format, _TEXT):
        detail = (
            f"the manifest says {format}, but the content looks like {kind}; correct the format or the file"
        )
        raise RecordRejected(RejectReason.CORRUPT, detail)
    if format == Format.MEDIAWIKI and b"<mediawiki" not in head:
        detail = "the manifest says mediawiki, but the file does not begin with a <mediawiki> element"
        raise RecordRejected(RejectReason.CORRUPT, detail)


def _kind(head: bytes) -> str:
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "text")


def _head(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(count)

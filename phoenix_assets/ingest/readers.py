"""The readers by format, and the one way to call them.

Whatever a file holds, what comes out are Records and Rejects, and of a repository's files Licences.
"""

import errno
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from phoenix_assets.fields import AS_NAMED, FieldMap
from phoenix_assets.ingest import (
    arc,
    docx,
    epub,
    fb2,
    html,
    mobi,
    parallel,
    pdf_process,
    plain,
    source_code,
    structured,
    tmx,
    warc,
    wikidump,
)
from phoenix_assets.ingest.config import Format, ReaderLimits
from phoenix_assets.ingest.records import Licence, Record, RecordRejected, Reject
from phoenix_assets.ingest.sniff import recognise, refuse_mismatch
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "3"

Reader = Callable[[Path, ReaderLimits], Iterator[Record | Reject]]
ResultT = TypeVar("ResultT", bound=Record | Reject | Licence)

READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        Format.WARC: warc.read,
        Format.ARC: arc.read,
        Format.HTML: html.read,
        Format.EPUB: epub.read,
        Format.PDF: pdf_process.read,
        Format.MOBI: mobi.read,
        Format.AZW3: mobi.read,
        Format.FB2: fb2.read,
        Format.DOCX: docx.read,
        Format.MEDIAWIKI: wikidump.read,
        Format.CODE: source_code.read,
        **structured.READERS,
        Format.TXT: plain.read,
        Format.PARALLEL_TSV: parallel.read,
        Format.TMX: tmx.read,
    }
)

# Libraries raise OSError without a number; a damaged offset makes them seek to an impossible place (EINVAL).
_OF_THE_CONTENT: Final = (None, errno.EINVAL)


def read_file(
    path: Path, format: str, limits: ReaderLimits, fields: FieldMap = AS_NAMED
) -> Iterator[Record | Reject]:
    """Yield what the reader of `format` finds in the file; every trouble with its content is a Reject.

    Of `mixed` files each one's content tells its format. `fields` says what the fields of records are called, where
    the format has fields. A trouble that ends the reading comes last, with locator "" (the whole file), and a file
    in which nothing is found is one. Raises OSError only for what the disk says (no such file, no permission, I/O
    error).
    """
    try:
        if path.stat().st_size == 0:
            raise RecordRejected(RejectReason.EMPTY_TEXT, "the file is empty")
        actual = recognise(path, limits) if format == Format.MIXED else format
        reader = _reader(actual, fields)
        refuse_mismatch(path, actual, limits)
        result = None
        for result in reader(path, limits):
            yield _with_text(result)
        if result is None:
            raise RecordRejected(RejectReason.EMPTY_TEXT, f"the {actual} reader finds no record in the file")
    except RecordRejected as problem:
        yield Reject("", problem.reason, problem.detail, _head(path, limits.payload_bytes))
    except OSError as error:
        if error.errno not in _OF_THE_CONTENT:
            raise
        yield _broken(path, format, error, limits)
    except Exception as error:
        yield _broken(path, format, error, limits)


def read_folder(
    paths: Mapping[str, Path], name: str, limits: ReaderLimits
) -> Iterator[tuple[str, Record | Reject | Licence]]:
    """Yield what the reader of source code finds in files that make a repository, each with its file's key in `paths`.

    Raises OSError only for what the disk says.
    """
    unread = dict(paths)
    try:
        for file, result in source_code.read_folder(paths, name, limits):
            unread.pop(file, None)
            yield file, _with_text(result)
    except OSError:
        raise
    except Exception as error:
        for file, path in unread.items():
            yield file, _broken(path, Format.CODE, error, limits)


def _reader(format: str, fields: FieldMap) -> Reader:
    if structured_reader := structured.READERS.get(format):
        return partial(structured_reader, fields=fields)
    if format not in READERS:
        detail = f"no reader for format {format!r}; known are: {', '.join(sorted(READERS))}"
        raise RecordRejected(RejectReason.UNKNOWN_FORMAT, detail)
    return READERS[format]


def _with_text(result: ResultT) -> ResultT | Reject:
    if isinstance(result, Record) and not result.text.strip():
        return Reject(result.locator, RejectReason.EMPTY_TEXT, "the record has no text")
    return result


def _broken(path: Path, format: str, error: Exception, limits: ReaderLimits) -> Reject:
    detail = f"the {format} reader cannot read this file: {type(error).__name__}: {error}"
    return Reject("", RejectReason.CORRUPT, detail[:1000], _head(path, limits.payload_bytes))


def _head(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(count)

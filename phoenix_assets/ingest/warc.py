"""WARC and WET files, plain or compressed, to one record a page (see `captures.py`).

Locators are byte offsets of WARC records. Where a file is damaged, reading goes on at the next place where a record
begins: a compressed member that unpacks to one, or in a plain file a header after an empty line.
"""

import io
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from fastwarc.stream_io import ZstdReader
from fastwarc.warc import ArchiveIterator, WarcRecordType

from phoenix_assets.ingest.captures import Capture, codings, is_document, media_type_and_charset, read_capture
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import BLOCK_BYTES, GZIP_MAGIC, GZIP_WBITS, PEEK_BLOCK_BYTES, ZSTD_MAGIC
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "3"

_RECORD_END: Final = b"\r\n\r\n"
_RECORD_START: Final = b"WARC/1."
_DEFLATE: Final = b"\x08"  # the method that follows gzip's magic bytes
_NOT_A_HEADER: Final = "Invalid WARC header"  # as FastWARC says it


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject for every page of the file, and a Reject for every damaged place."""
    start: int | None = 0
    while start is not None:
        start = yield from _stretch(path, start, limits)


def _stretch(path: Path, start: int, limits: ReaderLimits) -> Generator[Record | Reject, None, int | None]:
    """Read from the record at `start` to the end or to where the file is damaged; return where to go on, None at the end.

    A page is given out when the record after it has begun: only then is it known that its length was right.
    """
    last, problem, is_read = None, "", False
    page: tuple[Record | Reject, ...] = ()
    with path.open("rb") as stream:
        stream.seek(start)
        try:
            for warc in ArchiveIterator(stream, record_types=WarcRecordType.any_type, parse_http=True):
                yield from page
                if last is None and warc.stream_pos > start:  # FastWARC has gone over it without a word
                    yield Reject(str(start), RejectReason.CORRUPT, "the record is damaged")
                last, page, is_read = warc.stream_pos, (), False
                page, is_read = _page(warc, limits), True
        except OSError as error:
            if error.errno is not None:
                raise
            problem = str(error)
    last = start if last is None else last
    damaged = _end_of_member(path, last, problem) if problem and is_read else last
    if problem and damaged == last:
        detail = f"the record is damaged, or its length is wrong: {problem}"
        page = (Reject(str(last), RejectReason.CORRUPT, detail),)
    yield from page
    if problem:
        following = _next_record(path, last + 1)
        if damaged not in (last, following):
            yield Reject(str(damaged), RejectReason.CORRUPT, f"the record is damaged: {problem}")
        return following
    if RejectReason.TRUNCATED not in _reasons(page) and _ends_early(path, last):
        raise RecordRejected(RejectReason.TRUNCATED, f"the file ends within a record after byte {last}")
    return None


def _reasons(page: tuple[Record | Reject, ...]) -> set[RejectReason]:
    return {result.reason for result in page if isinstance(result, Reject)}


def _page(warc: Any, limits: ReaderLimits) -> tuple[Record | Reject, ...]:
    """Return what a record gives; nothing if it is no document."""
    extracted = warc.record_type == WarcRecordType.conversion
    if extracted:
        media_type, charset = media_type_and_charset(warc.headers.get("Content-Type") or "")
    elif warc.record_type == WarcRecordType.response and warc.is_http_parsed:
        media_type, charset = (warc.http_content_type or "").lower(), warc.http_charset
    else:
        return ()
    headers = {} if extracted else {name.lower(): value for name, value in warc.http_headers.items()}
    if not is_document(media_type, None if extracted else warc.http_headers.status_code, extracted=extracted):
        return ()
    meta: dict[str, MetaValue] = {
        "record_id": (warc.record_id or "").removeprefix("<urn:uuid:").removesuffix(">"),
        "date": warc.headers.get("WARC-Date", ""),
        "media_type": media_type,
    }
    address = warc.headers.get("WARC-Target-URI", "").strip("<>")
    capture = Capture(
        str(warc.stream_pos), address, media_type, charset, codings(headers), warc.content_length, meta
    )
    return read_capture(capture, warc.reader.read, limits)


def _end_of_member(path: Path, at: int, problem: str) -> int:
    """Return where the sound gzip member at `at` ends, so that the problem is in what follows; else `at`.

    A sound member unpacks to its end, checksum included. What is not compressed has nothing to tell by.
    """
    member = zlib.decompressobj(wbits=GZIP_WBITS)
    with path.open("rb") as stream:
        stream.seek(at)
        try:
            while not member.eof and (block := member.unconsumed_tail or stream.read(BLOCK_BYTES)):
                member.decompress(block, BLOCK_BYTES)
        except zlib.error:
            return at
        end = stream.tell() - len(member.unused_data)
    return end if member.eof and _NOT_A_HEADER not in problem else at


def _next_record(path: Path, after: int) -> int | None:
    """Return the offset of the first record that begins at byte `after` or later, None if there is none."""
    with path.open("rb") as stream:
        head = stream.read(len(ZSTD_MAGIC))
        if head.startswith(GZIP_MAGIC):
            mark, lead = GZIP_MAGIC + _DEFLATE, 0
        elif head == ZSTD_MAGIC:
            mark, lead = ZSTD_MAGIC, 0
        else:
            mark, lead = _RECORD_END + _RECORD_START, len(_RECORD_END)
        stream.seek(after)
        window, base = b"", after
        while block := stream.read(BLOCK_BYTES):
            window += block
            found = window.find(mark)
            while found >= 0:
                if lead or _unpacks_to_record(path, base + found):
                    return base + found + lead
                found = window.find(mark, found + 1)
            kept = len(mark) - 1
            base, window = base + max(0, len(window) - kept), window[-kept:]
    return None


def _unpacks_to_record(path: Path, at: int) -> bool:
    with path.open("rb") as stream:
        stream.seek(at)
        block = stream.read(PEEK_BLOCK_BYTES)
    try:
        if block.startswith(ZSTD_MAGIC):
            return bool(ZstdReader(io.BytesIO(block)).read(len(_RECORD_START)) == _RECORD_START)
        start = zlib.decompressobj(wbits=GZIP_WBITS).decompress(block, len(_RECORD_START))
    except (zlib.error, OSError):
        return False
    return start == _RECORD_START


def _ends_early(path: Path, last: int) -> bool:
    """Tell whether the file breaks off within the record at byte `last` or one of those after it.

    FastWARC does not say so when the end falls into a header. A plain file ends with the empty lines that close a
    record; in a gzip file the last member is complete.
    """
    with path.open("rb") as stream:
        gzipped = stream.read(2) == GZIP_MAGIC
        stream.seek(0)
        if stream.read(4) == ZSTD_MAGIC:
            return False
        if not gzipped:
            stream.seek(max(0, path.stat().st_size - len(_RECORD_END)))
            return stream.read() != _RECORD_END
        stream.seek(last)
        return _last_member_is_incomplete(stream)


def _last_member_is_incomplete(stream: BinaryIO) -> bool:
    member = zlib.decompressobj(wbits=GZIP_WBITS)
    rest, complete = b"", True
    while block := rest or stream.read(BLOCK_BYTES):
        if member.eof:
            if not block.strip(b"\0"):
                return False  # padding
            member = zlib.decompressobj(wbits=GZIP_WBITS)
        try:
            member.decompress(block, BLOCK_BYTES)
        except zlib.error:
            return False  # damaged, not short
        rest = member.unconsumed_tail or member.unused_data
        complete = member.eof
    return not complete

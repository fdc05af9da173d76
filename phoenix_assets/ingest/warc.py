"""WARC and WET files, plain or compressed, to one record a page.

Read are successful responses with HTML or plain text, and `conversion` records (the text that a crawler
extracted); requests, redirects, errors and other media types are not documents and leave no trace. A file
that ends early gives the records before its end, then one Reject.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from fastwarc.warc import ArchiveIterator, WarcRecordType

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.html import extract_html
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import (
    BLOCK_BYTES,
    GZIP_MAGIC,
    GZIP_WBITS,
    ZSTD_MAGIC,
    decode_body,
    too_large,
)
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_TEXT_TYPES: Final = frozenset({"text/plain"})
_READ_TYPES: Final = WarcRecordType.response | WarcRecordType.conversion
_SUCCESS: Final = range(200, 300)
_RECORD_END: Final = b"\r\n\r\n"


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject for every page of the file; locators are byte offsets of WARC records.

    Raises RecordRejected (truncated, corrupt) where the file cannot be read on, after the records before.
    """
    last, cut_short, problem = 0, False, None
    with path.open("rb") as stream:
        try:
            for warc in ArchiveIterator(stream, record_types=_READ_TYPES, parse_http=True):
                last = warc.stream_pos
                if (page := _page(warc, limits)) is not None:
                    cut_short = isinstance(page, Reject) and page.reason is RejectReason.TRUNCATED
                    yield page
        except OSError as error:
            if error.errno is not None:
                raise
            problem = error
    if not cut_short and _ends_early(path, last):
        raise RecordRejected(RejectReason.TRUNCATED, f"the file ends within a record after byte {last}")
    if problem is not None:
        raise RecordRejected(RejectReason.CORRUPT, f"after byte {last} the file cannot be read: {problem}")


def _page(warc: Any, limits: ReaderLimits) -> Record | Reject | None:
    media_type = _media_type(warc)
    if media_type is None:
        return None
    locator, body = str(warc.stream_pos), b""
    promised = warc.content_length
    try:
        body = warc.reader.read(limits.max_record_bytes + 1)
        if len(body) > limits.max_record_bytes:
            raise too_large(limits.max_record_bytes)
        if len(body) < promised:
            raise RecordRejected(RejectReason.TRUNCATED, f"{len(body)} of {promised} bytes are there")
        title, text = _title_and_text(warc, media_type, body, limits)
    except RecordRejected as problem:
        return Reject(locator, problem.reason, problem.detail, body[: limits.payload_bytes])
    if not text:
        detail = "no main content found on the page"
        return Reject(locator, RejectReason.EMPTY_TEXT, detail, body[: limits.payload_bytes])
    return Record(
        locator, warc.headers.get("WARC-Target-URI", "").strip("<>"), title, "", text, _meta(warc, media_type)
    )


def _media_type(warc: Any) -> str | None:
    """Return the media type of a record that is a document, else None."""
    if warc.record_type == WarcRecordType.conversion:
        media_type = (warc.headers.get("Content-Type") or "").split(";")[0].strip().lower()
        return media_type if media_type in _TEXT_TYPES else None
    if not warc.is_http_parsed or warc.http_headers.status_code not in _SUCCESS:
        return None
    media_type = (warc.http_content_type or "").lower()
    return media_type if media_type in _HTML_TYPES | _TEXT_TYPES else None


def _title_and_text(warc: Any, media_type: str, body: bytes, limits: ReaderLimits) -> tuple[str, str]:
    charset = None
    if warc.is_http_parsed:
        codings = [
            coding.strip().lower()
            for header in ("Transfer-Encoding", "Content-Encoding")
            for coding in reversed((warc.http_headers.get(header) or "").split(","))
        ]
        body = decode_body(body, codings, limits)
        charset = warc.http_charset
    if media_type in _HTML_TYPES:
        return extract_html(body, charset, limits)
    return "", decode(body, limits, declared=charset)[0].strip()


def _meta(warc: Any, media_type: str) -> dict[str, MetaValue]:
    return {
        "record_id": (warc.record_id or "").removeprefix("<urn:uuid:").removesuffix(">"),
        "date": warc.headers.get("WARC-Date", ""),
        "media_type": media_type,
    }


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

"""ARC files (Internet Archive, version 1 and 2; the format before WARC), plain or compressed, to one record a page.

Locators are byte offsets of records in the decompressed file. A damaged header ends the reading: nothing in the format
says where the next record begins.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from phoenix_assets.ingest.captures import Capture, codings, is_document, media_type_and_charset, read_capture
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import BLOCK_BYTES, open_stream
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_HEADER_BYTES: Final = 2**16
_HEADER: Final = re.compile(rb"(\S+) \S+ (\d{8,14}) (?:\S* )*?(\d+)\s*")  # address, IP, date, …, length
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS: Final = re.compile(rb"HTTP/[\d.]+ (\d{3})")


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject for every page of the file. Raises RecordRejected: truncated, corrupt, bomb."""
    with open_stream(path, limits) as stream:
        at = 0
        while line := stream.readline(_HEADER_BYTES):
            start, at = at, at + len(line)
            if not line.strip():
                continue
            header = _HEADER.fullmatch(line)
            if header is None:
                raise RecordRejected(
                    RejectReason.CORRUPT, f"at byte {start} there is no ARC header: {line[:60]!r}"
                )
            length = int(header[3])
            content = stream.read(min(length, limits.max_record_bytes + 1))
            at += len(content) + _skip(stream, length - len(content))
            if not header[1].startswith(b"filedesc:"):
                yield from _page(start, header, content, limits)


def _skip(stream: BinaryIO, count: int) -> int:
    skipped = 0
    while skipped < count and (block := stream.read(min(BLOCK_BYTES, count - skipped))):
        skipped += len(block)
    return skipped


def _page(
    start: int, header: re.Match[bytes], content: bytes, limits: ReaderLimits
) -> tuple[Record | Reject, ...]:
    head, *rest = _HEAD_END.split(content, maxsplit=1)
    body = rest[0] if rest else b""
    status = _STATUS.match(head)
    fields = (line.partition(":") for line in head.decode("latin-1").splitlines()[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    media_type, charset = media_type_and_charset(headers.get("content-type", ""))
    if not is_document(media_type, int(status[1]) if status else None):
        return ()
    capture = Capture(
        str(start),
        header[1].decode("utf-8", "replace"),
        media_type,
        charset,
        codings(headers),
        int(header[3]) - (len(content) - len(body)),
        {"date": header[2].decode(), "media_type": media_type},
    )
    return read_capture(capture, io.BytesIO(body).read, limits)

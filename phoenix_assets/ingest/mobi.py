"""MOBI and AZW3 (KF8) to one record a chapter.

A Palm database of records: a header, text records that are compressed one by one, and others. Joined, the text is
HTML: in MOBI one page with page breaks, in KF8 a page a chapter, the paragraphs of each behind its closing tag,
which is where HTML's error recovery takes them back into the body. A file with both forms of a book is read in the
first. Header fields after the MobileRead wiki, "MOBI".
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from locale import windows_locale
from pathlib import Path
from typing import BinaryIO, Final

from phoenix_assets.ingest.chapters import Book, Chapter, extract_xhtml, language, to_records
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.palmdoc import HuffCdic, decompress_lz77
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

MAGIC: Final = b"BOOKMOBI"
MAGIC_AT: Final = 60
_COUNT_AT: Final = 76
_RECORDS_AT: Final = 78
_PLAIN, _LZ77, _HUFF = 1, 2, 17480
_EXTH: Final = 0x40  # flag: metadata follows the header
_KF8: Final = 8  # version
_TRAILERS_FROM: Final = 0xE4  # length of the headers that say what trails the text records
_MAX_UNPACKED: Final = 4  # times the size that a text record says it has
_CODE_PAGES: Final = {1252: "cp1252", 65001: "utf-8", 936: "gb18030"}
_METADATA: Final = {100: "author", 101: "publisher", 104: "identifier", 503: "title", 524: "lang"}
_PAGE_BREAK: Final = re.compile(rb"<mbp:pagebreak[^>]*>", re.IGNORECASE)
_KF8_PAGE: Final = re.compile(rb"(?=<html\b)", re.IGNORECASE)
_LANGUAGES: Final = {code & 0x3FF: tag for code, tag in windows_locale.items()}  # by primary language


@dataclass(frozen=True, slots=True)
class Header:
    """What record 0 says of the text."""

    compression: int
    text_bytes: int
    text_records: int
    record_bytes: int
    encrypted: bool
    encoding: str | None
    is_kf8: bool
    huff_at: int
    huff_records: int
    trailers: int  # flags: what follows the text in each text record
    parts_at: int | None  # record with the bounds of the text's parts (KF8): pages, style sheets, drawings
    fields: dict[str, str]


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record for every chapter; locators are the numbers of its pages. Raises RecordRejected."""
    with path.open("rb") as stream:
        records = PalmRecords(stream, path.stat().st_size, limits)
        try:
            header = _header(records[0])
            if header.encrypted:
                raise RecordRejected(RejectReason.ENCRYPTED, "the book is protected (DRM)")
            html = _text(records, header, limits)
        except (struct.error, IndexError) as error:
            raise RecordRejected(RejectReason.CORRUPT, f"damaged MOBI headers: {error}") from error
    yield from to_records(Book(**header.fields), _pieces(html, header, limits), limits.book)


class PalmRecords:
    """The records of a Palm database, read one by one."""

    def __init__(self, stream: BinaryIO, size: int, limits: ReaderLimits) -> None:
        self._stream = stream
        self._limits = limits
        head = stream.read(_RECORDS_AT)
        if head[MAGIC_AT : MAGIC_AT + len(MAGIC)] != MAGIC:
            raise RecordRejected(RejectReason.CORRUPT, "not a Mobipocket book (no BOOKMOBI at byte 60)")
        (count,) = struct.unpack_from(">H", head, _COUNT_AT)
        table = stream.read(8 * count)
        if len(table) < 8 * count or count == 0:
            raise RecordRejected(RejectReason.TRUNCATED, "the book ends within its record table")
        self._bounds = [*struct.unpack(f">{2 * count}L", table)[0::2], size]
        if any(start > end for start, end in zip(self._bounds, self._bounds[1:], strict=False)):
            detail = "the book is shorter than its record table says"
            raise RecordRejected(RejectReason.TRUNCATED, detail)

    def __getitem__(self, number: int) -> bytes:
        if not 0 <= number < len(self):
            raise IndexError(f"no record {number}")
        start, end = self._bounds[number : number + 2]
        if end - start > self._limits.max_member_bytes:
            raise too_large(self._limits.max_member_bytes)
        self._stream.seek(start)
        return self._stream.read(end - start)

    def __len__(self) -> int:
        return len(self._bounds) - 1


def _header(record: bytes) -> Header:
    if record[16:20] != b"MOBI":
        raise RecordRejected(RejectReason.CORRUPT, "the book has no MOBI header")
    compression, text_bytes, text_records, record_bytes, encryption = struct.unpack_from(">H2xL3H", record)
    length, _, code_page, _, version = struct.unpack_from(">5L", record, 20)
    name_at, name_bytes, locale = struct.unpack_from(">3L", record, 84)
    huff_at, huff_records = struct.unpack_from(">2L", record, 112)
    (flags,) = struct.unpack_from(">L", record, 128)
    encoding = _CODE_PAGES.get(code_page)
    fields = {
        "title": _decoded(record[name_at : name_at + name_bytes], encoding),
        "lang": _LANGUAGES.get(locale & 0x3FF, ""),
    }
    if flags & _EXTH:
        fields |= _metadata(record, 16 + length, encoding)
    return Header(
        compression=compression,
        text_bytes=text_bytes,
        text_records=text_records,
        record_bytes=record_bytes,
        encrypted=encryption != 0,
        encoding=encoding,
        is_kf8=version == _KF8,
        huff_at=huff_at,
        huff_records=huff_records,
        trailers=struct.unpack_from(">H", record, 242)[0] if length >= _TRAILERS_FROM else 0,
        parts_at=struct.unpack_from(">L", record, 192)[0] if version == _KF8 else None,
        fields=fields | {"lang": language(fields["lang"])},
    )


def _metadata(record: bytes, start: int, encoding: str | None) -> dict[str, str]:
    """Return the fields of the EXTH block at `start`."""
    magic, _, count = struct.unpack_from(">4s2L", record, start)
    fields: dict[str, str] = {}
    if magic != b"EXTH":
        return fields
    at = start + 12
    for _ in range(min(count, len(record) // 8)):
        kind, length = struct.unpack_from(">2L", record, at)
        if kind in _METADATA:
            fields.setdefault(_METADATA[kind], _decoded(record[at + 8 : at + length], encoding))
        at += length
    return {name: value for name, value in fields.items() if value}


def _decoded(content: bytes, encoding: str | None) -> str:
    return " ".join(content.decode(encoding or "utf-8", "replace").split())


def _text(records: PalmRecords, header: Header, limits: ReaderLimits) -> bytes:
    """Return the book's text, unpacked; of a KF8 book the pages only."""
    max_bytes = _MAX_UNPACKED * max(header.record_bytes, 1)
    huffman = None
    if header.compression == _HUFF:
        tables = [
            records[header.huff_at + number] for number in range(min(header.huff_records, len(records)))
        ]
        huffman = HuffCdic.load(tables, max_bytes)
    elif header.compression not in {_PLAIN, _LZ77}:
        detail = f"compression {header.compression} is not known; known are 1, 2 and 17480"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    text = bytearray()
    for number in range(1, header.text_records + 1):
        packed = _without_trailers(records[number], header.trailers)
        if huffman:
            text += huffman.decompress(packed)
        else:
            text += decompress_lz77(packed, max_bytes) if header.compression == _LZ77 else packed
        if len(text) > limits.max_record_bytes:
            raise too_large(limits.max_record_bytes)
    return bytes(text[: _pages_end(records, header)])


def _pages_end(records: PalmRecords, header: Header) -> int | None:
    """Return where the first part of a KF8 text ends: its pages; None if the text is all pages."""
    if header.parts_at is None or not 0 < header.parts_at < len(records):
        return None
    bounds = records[header.parts_at]
    return struct.unpack_from(">L", bounds, 16)[0] if bounds.startswith(b"FDST") else None


def _without_trailers(record: bytes, flags: int) -> bytes:
    """Return a text record without the entries behind the text; each ends in its size, bit 0 is a split character."""
    for _ in range((flags >> 1).bit_count()):
        size = 0
        for byte in record[-4:]:
            size = ((0 if byte & 0x80 else size) << 7) | (byte & 0x7F)
        record = record[: max(len(record) - size, 0)]
    return record[: len(record) - (record[-1] & 3) - 1] if flags & 1 and record else record


def _pieces(html: bytes, header: Header, limits: ReaderLimits) -> Iterator[Chapter | Reject]:
    cut = _KF8_PAGE if header.is_kf8 else _PAGE_BREAK
    for number, piece in enumerate(cut.split(html), 1):
        try:
            yield Chapter(str(number), *extract_xhtml(piece, header.encoding, limits))
        except RecordRejected as problem:
            yield Reject(str(number), problem.reason, problem.detail, piece[: limits.payload_bytes])

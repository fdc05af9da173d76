"""CSV and its relatives (RFC 4180) to rows: a header of names, then a record each.

The delimiter is the one that the header has most of: a header has no prose in it, which is what misleads guesses from
the whole text (`csv.Sniffer`). Every value is text.
"""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.record_split import blocks, csv_records
from phoenix_assets.ingest.records import RecordRejected, Reject
from phoenix_assets.ingest.rows import Row
from phoenix_assets.ingest.streams import open_stream, peek, too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_DELIMITERS: Final = (",", "\t", ";", "|")
_SAMPLE_BYTES: Final = 2**16
_WIDE: Final = ("utf-16", "utf-16-le", "utf-16-be")  # a byte of theirs may look like a delimiter


def rows(path: Path, limits: ReaderLimits) -> Iterator[Row | Reject]:
    """Yield a Row or Reject for every record below the header.

    Raises RecordRejected: invalid_encoding when the file's beginning is in none, corrupt without a usable header.
    """
    csv.field_size_limit(limits.max_record_bytes)  # of the whole process; records are no longer than that
    text, encoding = decode(_whole_characters(peek(path, _SAMPLE_BYTES)), limits)
    head = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=head.count)
    with open_stream(path, limits) as stream:
        pieces = _as_utf8(stream, encoding) if encoding in _WIDE else blocks(stream)
        encoding = "utf-8" if encoding in (*_WIDE, "utf-8-sig") else encoding
        names: list[str] = []
        number = 0
        for record in csv_records(pieces, delimiter, limits.max_record_bytes):
            if record is not None and not record.strip():
                continue
            if not names:
                names = _header(record, encoding, delimiter, limits)
                continue
            number += 1
            payload = (record or b"")[: limits.payload_bytes]
            try:
                cells = _cells(record, encoding, delimiter, limits)
                yield Row("record", number, _named(names, cells), payload)
            except RecordRejected as problem:
                yield Reject(str(number), problem.reason, f"record {number}: {problem.detail}", payload)


def _whole_characters(sample: bytes) -> bytes:
    if b"\0" in sample:
        return sample[: len(sample) // 2 * 2]
    return sample[: sample.rfind(b"\n") + 1] or sample


def _as_utf8(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for block in blocks(stream):
        yield decoder.decode(block).encode("utf-8").removeprefix(codecs.BOM_UTF8)
    yield decoder.decode(b"", True).encode("utf-8")


def _header(record: bytes | None, encoding: str, delimiter: str, limits: ReaderLimits) -> list[str]:
    names = [name.strip() for name in _cells(record, encoding, delimiter, limits)]
    if not all(names) or len(set(names)) < len(names):
        detail = f"the first record must name every column, each once; it is {names[:20]!r}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    return names


def _cells(record: bytes | None, encoding: str, delimiter: str, limits: ReaderLimits) -> list[str]:
    if record is None:
        raise too_large(limits.max_record_bytes)
    try:
        text = record.rstrip(b"\r\n").decode(encoding)
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except UnicodeDecodeError as error:
        detail = f"not {encoding}: {error.reason} at byte {error.start}"
        raise RecordRejected(RejectReason.INVALID_ENCODING, detail) from error
    except csv.Error as error:
        raise RecordRejected(RejectReason.CORRUPT, f"not valid CSV: {error}") from error


def _named(names: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(names):
        detail = f"{len(cells)} columns, the header has {len(names)}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    return dict(zip(names, cells, strict=True))

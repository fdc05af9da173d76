"""CSV and its relatives (RFC 4180) to rows: a header of names, then a record each.

The delimiter is the one that the header has most of: a header has no prose in it, which is what misleads guesses from
the whole text (`csv.Sniffer`). Every value is text.
"""

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.record_split import blocks, csv_records
from phoenix_assets.ingest.records import RecordRejected, Reject
from phoenix_assets.ingest.rows import Row
from phoenix_assets.ingest.streams import too_large
from phoenix_assets.ingest.text_stream import open_text, text_of
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_DELIMITERS: Final = (",", "\t", ";", "|")


def rows(path: Path, limits: ReaderLimits) -> Iterator[Row | Reject]:
    """Yield a Row or Reject for every record below the header.

    Raises RecordRejected: invalid_encoding or corrupt when the header cannot be used.
    """
    csv.field_size_limit(limits.max_record_bytes)  # of the whole process; records are no longer than that
    with open_text(path, limits) as (stream, encoding):
        pieces = blocks(stream)
        start = next(pieces, b"")
        head = start.partition(b"\n")[0].decode("utf-8", "replace")
        delimiter = max(_DELIMITERS, key=head.count)
        names: list[str] = []
        number = 0
        for record in csv_records(chain([start], pieces), delimiter, limits.max_record_bytes):
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
        text = text_of(record.rstrip(b"\r\n"), encoding)
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise RecordRejected(RejectReason.CORRUPT, f"not valid CSV: {error}") from error


def _named(names: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(names):
        detail = f"{len(cells)} columns, the header has {len(names)}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    return dict(zip(names, cells, strict=True))

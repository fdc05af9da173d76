"""JSON to rows: a line each, or an element of one array or an object of a stream each."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.record_split import blocks, json_values
from phoenix_assets.ingest.records import RecordRejected, Reject
from phoenix_assets.ingest.rows import Row
from phoenix_assets.ingest.streams import read_lines, too_large
from phoenix_assets.ingest.text_stream import open_text, text_of
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "3"


def lines(path: Path, limits: ReaderLimits) -> Iterator[Row | Reject]:
    """Yield a Row or Reject for every line that is not blank."""
    with open_text(path, limits) as (stream, encoding):
        numbered = (
            (number, line)
            for number, line in read_lines(stream, limits.max_record_bytes)
            if line is None or line.strip()
        )
        yield from _rows("line", numbered, encoding, limits)


def values(path: Path, limits: ReaderLimits) -> Iterator[Row | Reject]:
    """Yield a Row or Reject for every element of the file's array, or for its one object.

    Raises RecordRejected (truncated, corrupt) where the array does not end as it should.
    """
    with open_text(path, limits) as (stream, encoding):
        found = json_values(blocks(stream), limits.max_record_bytes)
        yield from _rows("record", enumerate(found, 1), encoding, limits)


def _rows(
    unit: str, numbered: Iterable[tuple[int, bytes | None]], encoding: str, limits: ReaderLimits
) -> Iterator[Row | Reject]:
    for number, content in numbered:
        payload = (content or b"")[: limits.payload_bytes]
        try:
            if content is None:
                raise too_large(limits.max_record_bytes)
            yield Row(unit, number, _object(text_of(content, encoding)), payload)
        except RecordRejected as problem:
            yield Reject(str(number), problem.reason, f"{unit} {number}: {problem.detail}", payload)


def _object(content: str) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RecordRejected(RejectReason.CORRUPT, f"not valid JSON: {error}") from error
    if not isinstance(fields, dict):
        detail = f"a JSON object is expected, this is {type(fields).__name__}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    return fields

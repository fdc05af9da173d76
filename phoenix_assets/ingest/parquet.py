"""Parquet to rows, row group by row group and in small batches.

Times become ISO 8601 text and exact decimals text, as JSON would carry them.
"""

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import RecordRejected, Reject
from phoenix_assets.ingest.rows import Row
from phoenix_assets.ingest.streams import BLOCK_BYTES, refuse_bomb, too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

MAGIC: Final = b"PAR1"
_BATCH_ROWS: Final = 16  # a dictionary makes many rows out of one large value; a batch holds them all


def rows(path: Path, limits: ReaderLimits) -> Iterator[Row | Reject]:
    """Yield a Row or Reject for every row.

    Raises RecordRejected (truncated, corrupt, bomb), after the rows before the damage.
    """
    try:
        with parquet.ParquetFile(path, buffer_size=BLOCK_BYTES, pre_buffer=False) as file:
            yield from _rows(file, path.stat().st_size, limits)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        cut = not _ends_well(path)
        reason = RejectReason.TRUNCATED if cut else RejectReason.CORRUPT
        detail = f"the Parquet file {'ends early' if cut else 'is damaged'}: {error}"
        raise RecordRejected(reason, detail[:1000]) from error


def _rows(file: Any, file_bytes: int, limits: ReaderLimits) -> Iterator[Row | Reject]:
    number = 0
    unpacked = 0
    for group in range(file.num_row_groups):
        refuse_bomb(file.metadata.row_group(group).total_byte_size, file_bytes, limits)
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group]):
            unpacked += batch.nbytes
            refuse_bomb(unpacked, file_bytes, limits)
            for at in range(batch.num_rows):
                number += 1
                yield _row(batch.slice(at, 1), number, limits)


def _row(one: Any, number: int, limits: ReaderLimits) -> Row | Reject:
    try:
        if one.nbytes > limits.max_record_bytes:
            raise too_large(limits.max_record_bytes)
        (fields,) = one.to_pylist()
        return Row("row", number, {name: _plain(value) for name, value in fields.items()})
    except UnicodeDecodeError as error:
        detail = f"row {number}: not UTF-8: {error.reason} at byte {error.start}"
        return Reject(str(number), RejectReason.INVALID_ENCODING, detail)
    except RecordRejected as problem:
        return Reject(str(number), problem.reason, f"row {number}: {problem.detail}")


def _plain(value: Any) -> Any:
    if isinstance(value, date | time | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _ends_well(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-len(MAGIC), 2)
        return stream.read() == MAGIC

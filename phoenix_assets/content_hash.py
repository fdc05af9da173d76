"""The content hash behind every DataVersion.

A row's hash is xxh3-128 over its values in column order, each with its length in front; a table's hash is the sum
of its rows' hashes modulo 2^128 together with the row count. The sum makes it independent of the order of rows,
of files and of workers, and lets shards be hashed apart and added.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import xxhash
from polars.datatypes import DataTypeClass

KERNEL_VERSION: Final = "1"
_MODULUS: Final = 1 << 128


@dataclass(frozen=True)
class ContentHash:
    """Order-independent hash of rows: `total` is the sum of row hashes modulo 2^128."""

    rows: int = 0
    total: int = 0

    def __add__(self, other: "ContentHash") -> "ContentHash":
        """Return the hash of both row sets together."""
        return ContentHash(self.rows + other.rows, (self.total + other.total) % _MODULUS)

    @property
    def data_version(self) -> str:
        """Return the 40 hex digits that name this content: 32 of the sum, 8 of the row count."""
        return f"{self.total:032x}{self.rows & 0xFFFFFFFF:08x}"


def content_hash(frame: pl.DataFrame) -> ContentHash:
    """Hash the rows of `frame` (any schema; column names and order count, row order does not)."""
    if frame.height == 0:
        return ContentHash()
    return ContentHash(frame.height, sum(row_hashes(frame)) % _MODULUS)


def row_hashes(frame: pl.DataFrame) -> Iterator[int]:
    """Yield the 128-bit hash of each row, in order."""
    seed = xxhash.xxh64_intdigest("\x1f".join(frame.columns).encode())
    return (xxhash.xxh3_128_intdigest(row, seed=seed) for row in _row_bytes(frame))


def _row_bytes(frame: pl.DataFrame) -> pl.Series:
    """Return one Binary value a row: every column's canonical text, length-prefixed, nulls marked."""
    canonical = frame.select(
        _canonical(pl.col(name), dtype).alias(name) for name, dtype in frame.schema.items()
    )
    parts = []
    for name in canonical.columns:
        column = pl.col(name)
        parts += [column.str.len_bytes().cast(pl.String).fill_null("~"), pl.lit(":"), column.fill_null("")]
    return canonical.select(pl.concat_str(parts).cast(pl.Binary)).to_series()


def _canonical(column: pl.Expr, dtype: pl.DataType | DataTypeClass) -> pl.Expr:
    if dtype == pl.String:
        return column
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    if isinstance(dtype, pl.List):
        text = _canonical(pl.element(), dtype.inner)
        length = text.str.len_bytes().cast(pl.String).fill_null("~")
        return column.list.eval(pl.concat_str(length, pl.lit(":"), text.fill_null(""))).list.join("")
    if dtype in (pl.Float32, pl.Float64):
        return column.cast(pl.Float64).reinterpret(dtype=pl.Int64).cast(pl.String)  # the bits
    return column.cast(pl.String)


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

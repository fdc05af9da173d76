"""Where two versions of a table part: how many rows only one of them has, the first of these, and its column.

Rows are compared by their hashes, so that of large tables nothing but keys and hashes is held.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from phoenix_assets.content_hash import row_hashes

KERNEL_VERSION: Final = "1"
_KEYS: Final = ("doc_id", "path", "file")  # by which people know a row; else its first column

Frames = Callable[[], Iterable[pl.DataFrame]]


@dataclass(frozen=True)
class RowDifference:
    """Where two versions of the same rows part."""

    rows: int  # of the first version
    only_in_first: int
    only_in_second: int
    key: str  # of the first row in the order of keys that differs
    column: str  # the first that differs in it; "" when only one version has a row with that key
    values: tuple[str, str] = ("", "")  # in the first version and in the second

    def described(self) -> str:
        """Return the difference in one line."""
        parts = [
            f"{self.only_in_first} of {self.rows} rows are not made again, {self.only_in_second} are new"
        ]
        parts.append(f"the first is {self.key}")
        if self.column:
            parts.append(f"its {self.column} was {self.values[0]} and is {self.values[1]}")
        return "; ".join(parts)


def row_difference(first: Frames, second: Frames, *, shown: int = 80) -> RowDifference | None:
    """Return where two versions part, None where they don't; values are cut to `shown` characters.

    Both are read twice, a frame at a time.
    """
    columns = [_columns(first), _columns(second)]
    key = next((name for name in _KEYS if name in columns[0] and name in columns[1]), "")
    prints = [
        _prints(frames, key or names[0]) for frames, names in zip((first, second), columns, strict=True)
    ]
    only = [_without(prints[0], prints[1]), _without(prints[1], prints[0])]
    if not any(rows.height for rows in only):
        return None
    found = min(str(name) for rows in only for name in rows["key"].head(1))
    pair = [
        _row(frames, key or names[0], found, rows)
        for frames, names, rows in zip((first, second), columns, only, strict=True)
    ]
    column = "" if None in pair else _first_column(pair[0] or {}, pair[1] or {})
    values = [_shown((row or {}).get(column), shown) if column else "" for row in pair]
    return RowDifference(
        prints[0].height, only[0].height, only[1].height, found, column, (values[0], values[1])
    )


def _columns(frames: Frames) -> list[str]:
    return next((frame.columns for frame in frames()), [""])


def _prints(frames: Frames, key: str) -> pl.DataFrame:
    """Return key and hash of every row; of equal rows, which one it is."""
    parts = [pl.DataFrame(schema={"key": pl.String, "hash": pl.Binary})]
    parts += [
        pl.DataFrame(
            {
                "key": frame[key].cast(pl.String),
                "hash": pl.Series([value.to_bytes(16) for value in row_hashes(frame)], dtype=pl.Binary),
            }
        )
        for frame in frames()
        if frame.height
    ]
    return pl.concat(parts).with_columns(copy=pl.int_range(pl.len()).over("key", "hash"))


def _without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return rows.join(others, on=["key", "hash", "copy"], how="anti", nulls_equal=True).sort("key", "hash")


def _row(frames: Frames, key: str, value: str, only: pl.DataFrame) -> dict[str, object] | None:
    """Return the row with a key that only this version has."""
    hashes = set(only.filter(pl.col("key") == value)["hash"])
    for frame in frames():
        rows = frame.filter(pl.col(key).cast(pl.String) == value)
        for row, hashed in zip(rows.iter_rows(named=True), row_hashes(rows), strict=True):
            if hashed.to_bytes(16) in hashes:
                return row
    return None


def _first_column(one: dict[str, object], other: dict[str, object]) -> str:
    names = dict.fromkeys((*one, *other))
    return next((name for name in names if one.get(name) != other.get(name)), "")


def _shown(value: object, length: int) -> str:
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}…"

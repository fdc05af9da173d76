"""A record of named fields as its file gives it, before anything is made of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import Reject


@dataclass(frozen=True, slots=True)
class Row:
    """One record: what it is called in its file ("line", "row"), its number from 1, its fields, its first bytes."""

    unit: str
    number: int
    fields: Mapping[str, Any]
    payload: bytes = b""


Rows = Callable[[Path, ReaderLimits], Iterator[Row | Reject]]

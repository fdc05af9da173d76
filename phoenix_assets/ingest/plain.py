"""Plain text files in any common encoding to one record a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.mojibake import repair
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import read_whole
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield the one record of a text file, titled by the file's name. Raises RecordRejected."""
    text, encoding = decode(read_whole(path, limits), limits)
    if "\0" in text:
        detail = f"a zero byte at character {text.index(chr(0))}: binary or damaged, not text"
        raise RecordRejected(RejectReason.INVALID_ENCODING, detail)
    text, misread_as = repair(text.replace("\r\n", "\n").replace("\r", "\n"), limits)
    meta: dict[str, MetaValue] = {"encoding": encoding}
    if misread_as:
        meta["misread_as"] = list(misread_as)
    yield Record("0", "", path.name.partition(".")[0], "", text, meta)

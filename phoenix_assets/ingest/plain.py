"""Plain text files (UTF-8, UTF-16, GB18030, Big5) to one record a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.records import Record, Reject
from phoenix_assets.ingest.streams import read_whole

KERNEL_VERSION: Final = "1"


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield the one record of a text file, titled by the file's name. Raises RecordRejected."""
    text, encoding = decode(read_whole(path, limits), limits)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    yield Record("0", "", path.name.partition(".")[0], "", text, {"encoding": encoding})

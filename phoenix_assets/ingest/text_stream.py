"""A file of text records (JSON, CSV, TSV) as a stream of UTF-8, whatever encoding it is in.

Its beginning tells the encoding, by what `encoding` knows. These formats are UTF-8 by their standards, so a few lines that
are not are damaged lines of a UTF-8 file: another encoding has to explain more lines than UTF-8 does.
"""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from phoenix_assets.ingest.charset import SINGLE_BYTE
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.ingest.streams import BLOCK_BYTES, open_stream, peek
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

UTF_8: Final = "utf-8"
_SAMPLE_BYTES: Final = 2**16
_WIDE: Final = ("utf-16", "utf-16-le", "utf-16-be")


@contextmanager
def open_text(path: Path, limits: ReaderLimits) -> Iterator[tuple[BinaryIO, str]]:
    """Open a (compressed) file; give its bytes as UTF-8, without byte order mark, and the name of its encoding.

    What is not valid in the encoding is not valid in the stream. Reading raises what `open_stream` raises.
    """
    encoding = _encoding(peek(path, _SAMPLE_BYTES), limits)
    with open_stream(path, limits) as stream:
        if encoding == UTF_8:
            start = cast(io.BufferedReader, stream).peek(len(codecs.BOM_UTF8))
            stream.read(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)
            yield stream, encoding
        else:
            yield cast(BinaryIO, io.BufferedReader(_Recoded(stream, encoding), BLOCK_BYTES)), encoding


def text_of(record: bytes, encoding: str) -> str:
    """Return a record of the stream as text. Raises RecordRejected (invalid_encoding)."""
    try:
        return record.decode(UTF_8)
    except UnicodeDecodeError as error:
        detail = f"not {encoding.upper()}: {error.reason} at byte {error.start}"
        raise RecordRejected(RejectReason.INVALID_ENCODING, detail) from error


def _encoding(sample: bytes, limits: ReaderLimits) -> str:
    lines = sample[: sample.rfind(b"\n") + 1] or sample
    if b"\0" in sample:
        lines = sample[: len(sample) // 2 * 2]
    try:
        _, encoding = decode(lines, limits)
    except RecordRejected:
        return UTF_8  # each record will say what is wrong with it
    if encoding in _WIDE:
        return encoding
    sound, broken = _foreign_lines(sample)
    one_line_says_it = broken == 1 and encoding.startswith(SINGLE_BYTE)
    return UTF_8 if broken <= sound or one_line_says_it else encoding


def _foreign_lines(sample: bytes) -> tuple[int, int]:
    """Return how many lines that are not ASCII are UTF-8, and how many are not."""
    foreign = [line for line in sample.split(b"\n") if not line.isascii()]
    broken = sum("\ufffd" in line.decode(UTF_8, "replace") for line in foreign)
    return len(foreign) - broken, broken


class _Recoded(io.RawIOBase):
    """A stream in another encoding as UTF-8; broken bytes stay as they are, in UTF-16 they become U+FFFD."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._errors = "replace" if encoding in _WIDE else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)
        self._ready = b""

    def readable(self) -> bool:
        """Return True: the stream can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`. Raises what the stream beneath raises."""
        ended = False
        while not self._ready and not ended:
            block = self._stream.read(BLOCK_BYTES)
            ended = not block
            self._ready = self._decoder.decode(block, ended).encode(UTF_8, self._errors)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

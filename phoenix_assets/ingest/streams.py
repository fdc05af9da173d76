"""Decompression with a leash: what is read stays bounded, whatever the compressed bytes promise."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from fastwarc.stream_io import BrotliReader, ChunkedReader, GzipReader, ZstdReader

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "3"

GZIP_MAGIC: Final = b"\x1f\x8b"
BZIP2_MAGIC: Final = b"BZh"
XZ_MAGIC: Final = b"\xfd7zXZ\x00"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")
PDF_MAGIC: Final = b"%PDF-"
PDF_WITHIN: Final = 1024  # bytes of anything else may stand before it

_DECOMPRESSORS: Final[tuple[tuple[bytes, Callable[[BinaryIO], Any]], ...]] = (
    (GZIP_MAGIC, lambda file: gzip.GzipFile(fileobj=file)),
    (BZIP2_MAGIC, bz2.BZ2File),
    (XZ_MAGIC, lzma.LZMAFile),
)
BLOCK_BYTES: Final = 2**20
GZIP_WBITS: Final = 31  # zlib: expect a gzip header
PEEK_BLOCK_BYTES: Final = 2**14


class BoundedStream(io.RawIOBase):
    """A decompressed stream that refuses to grow out of proportion to the compressed file it comes from."""

    def __init__(self, compressed: BinaryIO, decompressed: io.BufferedIOBase, limits: ReaderLimits) -> None:
        self._compressed = compressed
        self._decompressed = decompressed
        self._limits = limits
        self._produced = 0

    def readable(self) -> bool:
        """Return True: the stream can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`. Raises RecordRejected: bomb, truncated or corrupt."""
        try:
            # Not `read`: it would lose what came before the damage.
            block = self._decompressed.read1(min(len(buffer), BLOCK_BYTES))
        except EOFError as error:
            raise RecordRejected(
                RejectReason.TRUNCATED, f"the compressed data ends early: {error}"
            ) from error
        except (zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise RecordRejected(RejectReason.CORRUPT, f"the compressed data is damaged: {error}") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise RecordRejected(RejectReason.CORRUPT, f"the compressed data is damaged: {error}") from error
        self._produced += len(block)
        refuse_bomb(self._produced, self._compressed.tell(), self._limits)
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Close both streams."""
        if not self.closed:
            self._decompressed.close()
            self._compressed.close()
        super().close()


def open_stream(path: Path, limits: ReaderLimits) -> BinaryIO:
    """Open `path` for reading, decompressing gzip, bzip2 and xz by their magic bytes.

    Reading raises RecordRejected: bomb, truncated or corrupt.
    """
    file = path.open("rb")
    magic = file.read(6)
    file.seek(0)
    decompressor = next((opener for start, opener in _DECOMPRESSORS if magic.startswith(start)), None)
    if decompressor is None:
        return file
    bounded = BoundedStream(file, decompressor(file), limits)
    return cast(BinaryIO, io.BufferedReader(bounded, BLOCK_BYTES))


def peek(path: Path, count: int) -> bytes:
    """Return about the first `count` decompressed bytes of a file, fewer if it is damaged or ends early."""
    found = b""
    with path.open("rb") as file:
        block = file.read(PEEK_BLOCK_BYTES)
        decompressor = _incremental(block)
        if decompressor is None:
            return block[:count]
        while decompressor and block and len(found) < count:
            try:
                found += decompressor.decompress(block, count)
            except (zlib.error, lzma.LZMAError, OSError, EOFError):
                break
            rest = decompressor.unused_data  # of a member that has ended; the next one begins there
            block = rest if len(rest) > PEEK_BLOCK_BYTES else rest + file.read(PEEK_BLOCK_BYTES)
            decompressor = _incremental(block) if decompressor.eof else decompressor
    return found[:count]


def _incremental(head: bytes) -> Any:
    if head.startswith(GZIP_MAGIC):
        return zlib.decompressobj(wbits=GZIP_WBITS)
    if head.startswith(BZIP2_MAGIC):
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor() if head.startswith(XZ_MAGIC) else None


def read_lines(stream: BinaryIO, max_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield (line number from 1, line without its end); None instead of a line longer than `max_bytes`."""
    number = 0
    while line := stream.readline(max_bytes + 1):
        number += 1
        if len(line) <= max_bytes or line.endswith(b"\n"):
            yield number, line.rstrip(b"\r\n")
            continue
        while (rest := stream.readline(BLOCK_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield number, None


def read_whole(path: Path, limits: ReaderLimits) -> bytes:
    """Return the (decompressed) content of a file that is one record.

    Raises RecordRejected: too_large, bomb, truncated or corrupt.
    """
    with open_stream(path, limits) as stream:
        content = stream.read(limits.max_record_bytes + 1)
    if len(content) > limits.max_record_bytes:
        raise too_large(limits.max_record_bytes)
    return content


def decode_body(body: bytes, codings: list[str], limits: ReaderLimits) -> bytes:
    """Undo HTTP transfer and content codings, outermost first.

    Raises RecordRejected: bomb, too_large or corrupt.
    """
    for coding in codings:
        body = _decode_one(body, coding, limits)
    return body


def refuse_bomb(produced: int, consumed: int, limits: ReaderLimits) -> None:
    """Raise RecordRejected (bomb) if `consumed` compressed bytes gave out-of-proportion many."""
    if produced > limits.ratio_floor_bytes and produced > limits.max_decompressed_ratio * max(consumed, 1):
        detail = f"{consumed} compressed bytes unpack to more than {produced} bytes"
        raise RecordRejected(RejectReason.BOMB, detail)


def too_large(limit: int) -> RecordRejected:
    """Return the rejection of a record over `limit` bytes."""
    return RecordRejected(
        RejectReason.TOO_LARGE, f"the record is larger than {limit} bytes; deliver it in parts"
    )


def _decode_one(body: bytes, coding: str, limits: ReaderLimits) -> bytes:
    source = io.BytesIO(body)
    reader: Any
    if coding in {"gzip", "x-gzip"}:
        reader = GzipReader(source)
    elif coding == "deflate":
        reader = GzipReader(source, zlib=True)
    elif coding == "br":
        reader = BrotliReader(source)
    elif coding == "zstd":
        reader = ZstdReader(source)
    elif coding == "chunked":
        reader = ChunkedReader(source)
    elif coding in {"identity", ""}:
        return body
    else:
        raise RecordRejected(RejectReason.CORRUPT, f"content coding {coding!r} is not known")
    return _read_coded(reader, coding, len(body), limits)


def _read_coded(reader: Any, coding: str, coded_bytes: int, limits: ReaderLimits) -> bytes:
    """Read to the end; past the record limit only to tell a bomb from a large record."""
    parts, size = [], 0
    try:
        while part := reader.read(BLOCK_BYTES):
            size += len(part)
            refuse_bomb(size, coded_bytes, limits)
            if size <= limits.max_record_bytes:
                parts.append(part)
    except OSError as error:
        raise RecordRejected(RejectReason.CORRUPT, f"not valid {coding} data: {error}") from error
    if size > limits.max_record_bytes:
        raise too_large(limits.max_record_bytes)
    return b"".join(parts)

"""A look at a PDF's compressed streams before PDFium unpacks them whole: a bomb is found block by block.

Pictures are passed over, for reading text unpacks none and blank scans compress a thousandfold.
"""

import mmap
import re
import zlib
from pathlib import Path
from typing import Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.ingest.streams import BLOCK_BYTES, refuse_bomb
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_STREAM: Final = re.compile(rb"(?<!end)stream\r?\n")
_DICTIONARY_BYTES: Final = 1024  # that may stand before a stream's keyword


def refuse_stream_bombs(source: Path | bytes, limits: ReaderLimits) -> None:
    """Raise RecordRejected (bomb, too_large) if a deflated stream of a PDF unpacks out of proportion."""
    if isinstance(source, bytes):
        _refuse_bombs(source, limits)
        return
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _refuse_bombs(content, limits)


def _refuse_bombs(content: bytes | mmap.mmap, limits: ReaderLimits) -> None:
    for found in _STREAM.finditer(content):
        before = content[max(found.start() - _DICTIONARY_BYTES, 0) : found.start()]
        dictionary = before.rpartition(b"obj")[2]
        if b"/FlateDecode" in dictionary and b"/Image" not in dictionary:
            _refuse_bomb(content, found.end(), limits)


def _refuse_bomb(content: bytes | mmap.mmap, start: int, limits: ReaderLimits) -> None:
    decompressor, at, produced = zlib.decompressobj(), start, 0
    block = b""
    while not decompressor.eof:
        if not block:
            block = content[at : at + BLOCK_BYTES]
            at += len(block)
        if not block:
            return
        try:
            produced += len(decompressor.decompress(block, BLOCK_BYTES))
        except zlib.error:
            return  # encrypted or damaged: PDFium says so
        block = decompressor.unconsumed_tail
        refuse_bomb(produced, at - len(block) - start, limits)
        if produced > limits.max_member_bytes:
            detail = f"a stream of the PDF unpacks to more than {limits.max_member_bytes} bytes"
            raise RecordRejected(RejectReason.TOO_LARGE, detail)

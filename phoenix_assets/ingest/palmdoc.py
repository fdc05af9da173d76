"""The compressions of Palm and Kindle books: PalmDOC (LZ77) and HUFF/CDIC (Huffman codes of dictionary phrases).

Both work record by record and give at most a record's size of text; what would give more is a bomb. Formats after
the MobileRead wiki, "PalmDOC" and "MOBI › Huff/CDIC".
"""

# ruff: noqa: ANN001, ANN202 - numba infers the types of its kernels

import struct
from dataclasses import dataclass
from typing import Final, Self

import numba
import numpy as np

from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_MAX_PHRASE_DEPTH: Final = 32  # phrases hold codes of phrases; deeper nesting is a loop
_HUFF_MAGIC: Final = b"HUFF\x00\x00\x00\x18"
_CDIC_MAGIC: Final = b"CDIC\x00\x00\x00\x10"
_PLAIN_PHRASE: Final = 0x8000
_OVERFLOW, _DAMAGED = -1, -2


def decompress_lz77(record: bytes, max_bytes: int) -> bytes:
    """Return the text of a PalmDOC record. Raises RecordRejected: bomb or corrupt."""
    out = np.empty(max_bytes, np.uint8)
    size = _lz77(np.frombuffer(record, np.uint8), out)
    if size == _OVERFLOW:
        raise RecordRejected(RejectReason.BOMB, f"a text record unpacks to more than {max_bytes} bytes")
    if size == _DAMAGED:
        raise RecordRejected(RejectReason.CORRUPT, "a text record refers to text before its beginning")
    return out[:size].tobytes()


@numba.njit(cache=True, nogil=True)
def _lz77(data, out):  # type: ignore[no-untyped-def]
    at, size, limit = 0, 0, out.size
    while at < data.size:
        byte = np.int64(data[at])
        at += 1
        if 1 <= byte <= 8:  # so many bytes as they are
            count = min(byte, data.size - at)
            if size + count > limit:
                return _OVERFLOW
            out[size : size + count] = data[at : at + count]
            at, size = at + count, size + count
        elif byte < 0x80:
            if size + 1 > limit:
                return _OVERFLOW
            out[size] = byte
            size += 1
        elif byte >= 0xC0:  # a space and a character
            if size + 2 > limit:
                return _OVERFLOW
            out[size], out[size + 1] = 0x20, byte ^ 0x80
            size += 2
        elif at < data.size:  # 11 bits of distance, 3 of length
            pair = ((byte << 8) | np.int64(data[at])) & 0x3FFF
            at += 1
            distance, count = pair >> 3, (pair & 7) + 3
            if distance == 0 or distance > size:
                return _DAMAGED
            if size + count > limit:
                return _OVERFLOW
            for _ in range(count):
                out[size] = out[size - distance]
                size += 1
    return size


@dataclass(frozen=True)
class HuffCdic:
    """The code tables and the phrases of a book."""

    short_codes: tuple[tuple[int, bool, int], ...]  # by the next 8 bits: length, is complete, greatest code
    least: tuple[int, ...]  # by length: the least and the greatest code, on the left of 32 bits
    greatest: tuple[int, ...]
    phrases: list[tuple[bytes, bool]]  # and whether they are plain text
    max_bytes: int

    @classmethod
    def load(cls, records: list[bytes], max_bytes: int) -> Self:
        """Read the HUFF record and the CDIC records behind it. Raises RecordRejected (corrupt)."""
        try:
            return cls._load(records, max_bytes)
        except (struct.error, IndexError, ValueError) as error:
            raise RecordRejected(RejectReason.CORRUPT, f"damaged HUFF/CDIC tables: {error}") from error

    @classmethod
    def _load(cls, records: list[bytes], max_bytes: int) -> Self:
        huff = records[0]
        if not huff.startswith(_HUFF_MAGIC):
            raise ValueError("no HUFF record")
        short_at, long_at = struct.unpack_from(">2L", huff, 8)
        short_codes = []
        for entry in struct.unpack_from(">256L", huff, short_at):
            length, greatest = entry & 0x1F, entry >> 8
            if not length:
                raise ValueError("a code of no bits")
            short_codes.append((length, bool(entry & 0x80), ((greatest + 1) << (32 - length)) - 1))
        bounds = struct.unpack_from(">64L", huff, long_at)
        least = tuple(code << (32 - length) for length, code in enumerate((0, *bounds[0::2])))
        greatest = tuple(((code + 1) << (32 - length)) - 1 for length, code in enumerate((0, *bounds[1::2])))
        phrases: list[tuple[bytes, bool]] = []
        for record in records[1:]:
            phrases += _phrases(record, len(phrases))
        return cls(tuple(short_codes), least, greatest, phrases, max_bytes)

    def decompress(self, record: bytes) -> bytes:
        """Return the text of a record. Raises RecordRejected: bomb or corrupt."""
        out = bytearray()
        try:
            self._decode(record, out, _MAX_PHRASE_DEPTH)
        except IndexError as error:
            raise RecordRejected(RejectReason.CORRUPT, "a text record has a code of no phrase") from error
        return bytes(out)

    def _decode(self, data: bytes, out: bytearray, depth: int) -> None:
        if depth == 0:
            raise RecordRejected(RejectReason.BOMB, "phrases of the dictionary hold themselves")
        bits, left, padded = 0, len(data) * 8, data + bytes(8)
        while True:
            (window,) = struct.unpack_from(">Q", padded, bits >> 3)
            code = (window >> (32 - (bits & 7))) & 0xFFFFFFFF
            length, complete, greatest = self.short_codes[code >> 24]
            if not complete:
                while code < self.least[length]:
                    length += 1
                greatest = self.greatest[length]
            bits += length
            left -= length
            if left < 0:
                return
            phrase, plain = self.phrases[(greatest - code) >> (32 - length)]
            if plain:
                out += phrase
            else:
                self._decode(phrase, out, depth - 1)
            if len(out) > self.max_bytes:
                detail = f"a text record unpacks to more than {self.max_bytes} bytes"
                raise RecordRejected(RejectReason.BOMB, detail)


def _phrases(record: bytes, known: int) -> list[tuple[bytes, bool]]:
    if not record.startswith(_CDIC_MAGIC):
        raise ValueError("no CDIC record")
    total, bits = struct.unpack_from(">2L", record, 8)
    count = min(1 << min(bits, 32), total - known)
    phrases = []
    for offset in struct.unpack_from(f">{max(count, 0)}H", record, 16):
        (head,) = struct.unpack_from(">H", record, 16 + offset)
        start = 18 + offset
        phrases.append((record[start : start + (head & (_PLAIN_PHRASE - 1))], bool(head & _PLAIN_PHRASE)))
    return phrases

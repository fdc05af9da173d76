"""MOBI and KF8 books become chapters; protected and damaged ones say so.

The books are written here as the format is described on the MobileRead wiki, in all three compressions.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.palmdoc import HuffCdic, decompress_lz77
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, RecordRejected, Reject

RECORD_BYTES = 4096
# The openings of 三国演义 and of Moby-Dick, in the public domain.
CHAPTERS = (
    "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦；及秦灭之后，楚、汉分争，又并入于汉。" * 40,
    "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse. "
    * 40,
)


def lz77(data: bytes) -> bytes:
    """PalmDOC compression: matches of 3 to 10 bytes within 2047, spaces joined to letters, literals."""
    out, at = bytearray(), 0
    while at < len(data):
        for length in range(min(10, len(data) - at), 2, -1):
            found = data.rfind(data[at : at + length], max(0, at - 2047), at + length - 1)
            if found >= 0 and found < at:
                pair = 0x8000 | (at - found) << 3 | (length - 3)
                out += pair.to_bytes(2, "big")
                at += length
                break
        else:
            byte, after = data[at], data[at + 1 : at + 2]
            if byte == 0x20 and after and 0x40 <= after[0] <= 0x7F:
                out.append(after[0] ^ 0x80)
                at += 2
            elif byte == 0 or 0x09 <= byte <= 0x7F:
                out.append(byte)
                at += 1
            else:
                out += bytes((1, byte))
                at += 1
    return bytes(out)


def huffman_tables() -> list[bytes]:
    """A HUFF record with 8-bit codes, and a CDIC record whose phrase N is the byte N; 0x41 is spelled by codes."""
    short = b"".join(struct.pack(">L", 0x80 | 8 | (255 << 8)) for _ in range(256))
    bounds = struct.pack(">64L", *[0] * 14, 0, 255, *[0] * 48)
    huff = b"HUFF\x00\x00\x00\x18" + struct.pack(">4L", 24, 24 + len(short), 0, 0) + short + bounds
    phrases = [struct.pack(">H", 0x8001) + bytes((byte,)) for byte in range(256)]
    phrases[0x41] = struct.pack(">H", 2) + bytes((255 - 0x42, 255 - 0x43))
    offsets, at = [], 512
    for phrase in phrases:
        offsets.append(at)
        at += len(phrase)
    cdic = b"CDIC\x00\x00\x00\x10" + struct.pack(">2L", 256, 8)
    return [huff, cdic + struct.pack(">256H", *offsets) + b"".join(phrases)]


def huffman(data: bytes) -> bytes:
    return bytes(255 - byte for byte in data)


PACKERS: dict[int, Callable[[bytes], bytes]] = {1: bytes, 2: lz77, 17480: huffman}


def mobi_bytes(
    html: bytes, compression: int, *, version: int = 6, encryption: int = 0, after_pages: bytes = b""
) -> bytes:
    text = html + after_pages
    pieces = [text[at : at + RECORD_BYTES] for at in range(0, len(text), RECORD_BYTES)]
    # Each text record ends in a split-character byte and an entry of three bytes that says its size.
    packed = [PACKERS[compression](piece) + b"\x00" + b"xy\x83" for piece in pieces]
    tables = huffman_tables() if compression == 17480 else []
    flows = [b"FDST" + struct.pack(">2L", 12, 2) + struct.pack(">4L", 0, len(html), len(html), len(text))]
    exth = b"".join(
        struct.pack(">2L", kind, 8 + len(value)) + value
        for kind, value in ((100, "罗贯中".encode()), (503, "三国演义".encode()), (524, b"zh-CN"))
    )
    header = bytearray(264)
    struct.pack_into(">H2xL3H", header, 0, compression, len(text), len(packed), RECORD_BYTES, encryption)
    struct.pack_into(">4s5L", header, 16, b"MOBI", 248, 2, 65001, 1, version)
    struct.pack_into(">3L", header, 84, 0, 0, 9)
    struct.pack_into(">2L", header, 112, len(packed) + 1 if tables else 0, len(tables))
    struct.pack_into(">L", header, 128, 0x40)
    struct.pack_into(">L", header, 192, len(packed) + len(tables) + 1)
    struct.pack_into(">HL", header, 242, 0b11, 0xFFFFFFFF)
    first = bytes(header) + b"EXTH" + struct.pack(">2L", 12 + len(exth), 3) + exth
    records = [first, *packed, *tables, *flows]
    start = 78 + 8 * len(records)
    table, at = b"", start
    for number, record in enumerate(records):
        table += struct.pack(">2L", at, number)
        at += len(record)
    return (
        b"A book".ljust(60, b"\0")
        + b"BOOKMOBI"
        + bytes(8)
        + struct.pack(">H", len(records))
        + table
        + b"".join(records)
    )


def mobi6_html() -> bytes:
    pages = "<mbp:pagebreak/>".join(
        f"<h1>{number}</h1><p>{text}</p>" for number, text in enumerate(CHAPTERS, 1)
    )
    return f"<html><head><title></title></head><body>{pages}</body></html>".encode()


def kf8_html() -> bytes:
    """Skeletons, each with its fragments behind it, as KF8 stores pages."""
    skeleton = (
        '<?xml version="1.0" encoding="UTF-8"?><html><head><title>{}</title></head><body></body></html>'
    )
    return "".join(
        f"{skeleton.format(number)}<p>{text}</p>" for number, text in enumerate(CHAPTERS, 1)
    ).encode()


def read(content: bytes, tmp_path: Path, limits: ReaderLimits) -> list[Record | Reject]:
    (tmp_path / "a.mobi").write_bytes(content)
    return list(read_file(tmp_path / "a.mobi", "mobi", limits))


def only_reason(results: list[Record | Reject]) -> str:
    (reject,) = results
    assert isinstance(reject, Reject)
    return str(reject.reason)


@pytest.mark.parametrize("compression", sorted(PACKERS))
@pytest.mark.parametrize("version", [6, 8])
def test_a_book_is_read_chapter_by_chapter(
    compression: int, version: int, tmp_path: Path, limits: ReaderLimits
) -> None:
    html = kf8_html() if version == 8 else mobi6_html()
    if compression == 17480:
        html = html.replace(b"A", b"")  # this byte's phrase stands for two others
    results = read(
        mobi_bytes(html, compression, version=version, after_pages=b"p {color: red}"), tmp_path, limits
    )
    for result, text in zip(results, CHAPTERS, strict=True):
        assert isinstance(result, Record)
        assert text.strip() in result.text
        assert (result.title, result.lang, result.meta["author"]) == ("三国演义", "zh", "罗贯中")
        assert version == 6 or "color" not in result.text


def test_a_phrase_may_be_spelled_by_codes_of_others() -> None:
    tables = HuffCdic.load(huffman_tables(), 10)
    assert tables.decompress(huffman(b"xAy")) == b"xBCy"


@given(st.binary(max_size=300).map(lambda data: data * 3))
def test_palmdoc_gives_back_what_was_compressed(data: bytes) -> None:
    assert decompress_lz77(lz77(data), len(data) + 1) == data


@given(st.binary(max_size=300))
def test_any_bytes_unpack_within_the_limit_or_are_rejected(data: bytes) -> None:
    try:
        assert len(decompress_lz77(data, 500)) <= 500
    except RecordRejected as problem:
        assert str(problem.reason) in {"bomb", "corrupt"}


def test_a_protected_book_is_encrypted(tmp_path: Path, limits: ReaderLimits) -> None:
    assert only_reason(read(mobi_bytes(mobi6_html(), 2, encryption=2), tmp_path, limits)) == "encrypted"


def test_a_book_that_ends_early_is_truncated(tmp_path: Path, limits: ReaderLimits) -> None:
    assert only_reason(read(mobi_bytes(mobi6_html(), 2)[:2000], tmp_path, limits)) == "truncated"


def test_a_book_without_text_is_an_error(tmp_path: Path, limits: ReaderLimits) -> None:
    html = b"<html><body><img recindex='1'/></body></html>"
    assert only_reason(read(mobi_bytes(html, 1), tmp_path, limits)) == "empty_text"


def test_a_phrase_that_holds_itself_is_a_bomb() -> None:
    tables = huffman_tables()
    looping = tables[1].replace(
        struct.pack(">H", 2) + bytes((255 - 0x42, 255 - 0x43)), struct.pack(">H", 2) + huffman(b"AA")
    )
    with pytest.raises(RecordRejected) as caught:
        HuffCdic.load([tables[0], looping], 10).decompress(huffman(b"A"))
    assert str(caught.value.reason) == "bomb"


def test_a_record_that_unpacks_beyond_its_size_is_a_bomb(tmp_path: Path, limits: ReaderLimits) -> None:
    with pytest.raises(RecordRejected) as caught:
        decompress_lz77(b"a" + bytes.fromhex("800f") * 1000, 4096)
    assert str(caught.value.reason) == "bomb"


@given(st.integers(0, 5000), st.binary(min_size=1, max_size=8))
def test_a_book_damaged_anywhere_never_raises(
    tmp_path_factory: pytest.TempPathFactory, position: int, damage: bytes
) -> None:
    from phoenix_assets.ingest.config import reader_limits

    content = bytearray(mobi_bytes(mobi6_html(), 2))
    content[position : position + len(damage)] = damage
    for result in read(bytes(content), tmp_path_factory.mktemp("book"), reader_limits()):
        assert isinstance(result, Record | Reject)

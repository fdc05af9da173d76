"""A file's content says what it is; its name says nothing."""

import argparse
import gzip
import heapq
import io
import json
import resource
import zipfile
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import Format, ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import RecordRejected, Reject
from phoenix_assets.ingest.sniff import recognise
from phoenix_assets.schema import RejectReason

TEXT = "话说天下大势，分久必合，合久必分。"


def zipped(*names: str, content: bytes = b"x") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return out.getvalue()


KNOWN = [
    (b"%PDF-1.4\n", Format.PDF),
    (b"\n\n%PDF-1.7\n", Format.PDF),
    (bytes(60) + b"BOOKMOBI" + bytes(20), Format.MOBI),
    (zipped("mimetype", "META-INF/container.xml"), Format.EPUB),
    (zipped("book/META-INF/container.xml"), Format.EPUB),
    (zipped("word/document.xml", "docProps/core.xml"), Format.DOCX),
    (zipped("war_and_peace.fb2"), Format.FB2),
    (b"<?xml version='1.0'?><FictionBook>", Format.FB2),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by -->\n<FictionBook>", Format.FB2),
    ("<?xml version='1.0'?><FictionBook>".encode("utf-16"), Format.FB2),
    (b"<mediawiki xmlns='http://www.mediawiki.org/xml/export-0.10/'>", Format.MEDIAWIKI),
    (gzip.compress(b"<mediawiki>"), Format.MEDIAWIKI),
    (b"<?xml version='1.0'?><!DOCTYPE tmx SYSTEM 'tmx14.dtd'><tmx version='1.4'>", Format.TMX),
    (b"<!DOCTYPE html>\n<html lang='zh'>", Format.HTML),
    (b"  <HTML><BODY>", Format.HTML),
    (b"WARC/1.0\r\nWARC-Type: warcinfo", Format.WARC),
    (gzip.compress(b"WARC/1.0\r\n"), Format.WARC),
    (b"PAR1\x15\x04", Format.PARQUET),
    (b'{"text": "a", "title": "b"}\n{"text": "c"}\n', Format.JSONL),
    (b'{"question": "a", "answer": "b"}\n', Format.QA_JSONL),
    (b'{"title": "a", "content": "b"}\n', Format.ARTICLE_JSONL),
    (b'{"gradeName": "a", "question": "b"}\n', Format.K12_JSONL),
    (b'{"messages": [{"role": "user", "content": "a"}]}\n', Format.INSTRUCT_JSONL),
    (b'[{"text": "a"}]', Format.JSON),
    (TEXT.encode(), Format.TXT),
    (TEXT.encode("gb18030"), Format.TXT),
    (TEXT.encode("utf-16-le") * 3, Format.TXT),
    ("plain".encode("utf-16"), Format.TXT),
    (b"[1] A footnote, not JSON", Format.TXT),
    (b"<3 is no markup", Format.TXT),
]


@pytest.mark.parametrize(("content", "format"), KNOWN)
def test_a_format_is_recognised_by_content(
    content: bytes, format: Format, tmp_path: Path, limits: ReaderLimits
) -> None:
    (tmp_path / "misleading.pdf.txt").write_bytes(content)
    assert recognise(tmp_path / "misleading.pdf.txt", limits) is format


SOURCE = b"import os\n\n\ndef home() -> str:\n    return os.environ['HOME']  # always set\n"


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("home.py", SOURCE, Format.CODE),
        ("home.txt", SOURCE, Format.TXT),
        ("home.md", SOURCE, Format.TXT),
        ("novel.py", TEXT.encode() * 9, Format.TXT),
        (
            "essay.c",
            b"It was a bright cold day in April,\nand the clocks were striking thirteen.\n" * 9,
            Format.TXT,
        ),
        ("run.sh", b"#!/bin/sh\necho one two three\necho four\n", Format.CODE),
        ("main.rs", b'fn main() {\n    let x = 1;\n    println!("{x}");\n}\n', Format.CODE),
        ("a.txt", b"id\ttext\n1\tone\n2\ttwo\n", Format.CSV),
        ("a.tsv", "编号\ttext\n1\t一\n2\t二\n".encode(), Format.CSV),
        ("a.tsv", "en\tzh\nOne.\t一。\nTwo.\t二。\n".encode(), Format.PARALLEL_TSV),
        ("a.tsv", b"id\ttext\n1\tone\n2\n", Format.TXT),
        ("a.tsv", b"1\tone!\n2\ttwo!\n3\tthree!\n", Format.TXT),
        ("poem.tsv", b"\tThe rose is red,\n\tthe violet blue,\n\tand so are you.\n", Format.TXT),
    ],
)
def test_a_name_counts_only_where_it_confirms_the_content(
    name: str, content: bytes, format: Format, tmp_path: Path, limits: ReaderLimits
) -> None:
    (tmp_path / name).write_bytes(content)
    assert recognise(tmp_path / name, limits) is format


def test_the_standard_library_is_code_under_its_name_and_text_under_another(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    for module in (argparse, heapq, json):
        source = Path(module.__file__ or "")
        assert recognise(source, limits) is Format.CODE
        (tmp_path / "source.txt").write_bytes(source.read_bytes())
        assert recognise(tmp_path / "source.txt", limits) is Format.TXT


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\x7fELF\x02\x01",
        b"{\\rtf1\\ansi",
        b"Rar!\x1a\x07",
        zipped("inner.zip", content=zipped("a.txt")),
        zipped("xl/workbook.xml"),
        b"<?xml version='1.0'?><rss/>",
        bytes(range(256)) * 8,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    ],
)
def test_what_is_not_recognised_is_named(content: bytes, tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a.epub").write_bytes(content)
    with pytest.raises(RecordRejected) as caught:
        recognise(tmp_path / "a.epub", limits)
    assert caught.value.reason is RejectReason.UNKNOWN_FORMAT


def test_a_mixed_delivery_is_read_file_by_file(tmp_path: Path, limits: ReaderLimits) -> None:
    page = f"<html><head><title>t</title></head><body><p>{TEXT * 20}</p></body></html>"
    files = {
        "a.bin": zipped("OEBPS/a.xhtml", content=page.encode()),
        "b.bin": f"<FictionBook><body><section><p>{TEXT}</p></section></body></FictionBook>".encode(),
        "c.bin": TEXT.encode("big5hkscs", "ignore"),
        "d.bin": b'{"text": "one"}\n{"text": "two"}\n',
        "e.bin": zipped("inner.zip"),
        "f.bin": zipped("mimetype", content=b"x" * 100)[:-30],
        "g.bin": b"",
    }
    found = {}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        results = list(read_file(tmp_path / name, "mixed", limits))
        found[name] = [str(r.reason) if isinstance(r, Reject) else "record" for r in results]
    assert found == {
        "a.bin": ["record"],
        "b.bin": ["record"],
        "c.bin": ["record"],
        "d.bin": ["record", "record"],
        "e.bin": ["unknown_format"],
        "f.bin": ["truncated"],
        "g.bin": ["empty_text"],
    }


@pytest.mark.parametrize("content", [b"text\0text", b"\0" * 5000, b"MZ" + bytes(100) + b"code"])
def test_a_text_file_with_zero_bytes_is_quarantined(
    content: bytes, tmp_path: Path, limits: ReaderLimits
) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    (reject,) = read_file(tmp_path / "a.txt", "txt", limits)
    assert isinstance(reject, Reject)
    assert reject.reason in {RejectReason.INVALID_ENCODING, RejectReason.EMPTY_TEXT}


def test_a_line_of_100_megabytes_is_too_large_and_never_in_memory(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as stream:
        for _ in range(100):
            stream.write(b"a" * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (reject,) = read_file(path, "txt", limits)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert isinstance(reject, Reject)
    assert (reject.reason, len(reject.payload)) == (RejectReason.TOO_LARGE, limits.payload_bytes)
    assert grown < 3 * limits.max_record_bytes

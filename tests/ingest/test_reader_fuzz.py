"""Damaged files of every format: whatever the damage, a reader yields documents and reasons, and ends."""

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from phoenix_assets.ingest.config import Format, ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

pytestmark = pytest.mark.slow

EXAMPLES = 200
TEXT = "It was a bright cold day in April, and the clocks were striking thirteen. 四月间，天气寒冷晴朗，钟敲了十三下。"
PAGE = f"<html><head><title>1984</title></head><body><main><p>{TEXT}</p><table><tr><td>1</td></tr></table></main></body></html>"
WIKI = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/"><page><title>April</title><ns>0</ns><id>1</id>'
    f"<revision><id>2</id><text>'''April''' {{{{cite|x}}}} [[month]] {TEXT}</text></revision></page></mediawiki>"
)
FB2 = (
    '<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0"><description><title-info><book-title>1984'
    f"</book-title></title-info></description><body><section><p>{TEXT}</p></section></body></FictionBook>"
)
TMX = (
    '<tmx version="1.4"><header srclang="en"/><body><tu><tuv xml:lang="en"><seg>A bright day.</seg></tuv>'
    '<tuv xml:lang="zh"><seg>晴朗的一天。</seg></tuv></tu></body></tmx>'
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DOCX = f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>{TEXT}</w:t></w:r></w:p></w:body></w:document>'
EPUB = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="a.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
    "a.opf": '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="a.xhtml" '
    'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>',
    "a.xhtml": PAGE,
}


def lines(*rows: dict[str, object]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def archive(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return stream.getvalue()


def warc() -> bytes:
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    for number in range(2):
        headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(
                f"http://a.example/{number}",
                "response",
                payload=io.BytesIO(PAGE.encode()),
                http_headers=headers,
            )
        )
    return stream.getvalue()


def arc() -> bytes:
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE.encode()
    head = b"filedesc://a.arc 0.0.0.0 20240101000000 text/plain 76\n1 0 x\nURL IP-address Archive-date Content-type Archive-length\n\n"
    line = f"http://a.example/ 1.2.3.4 20240101000000 text/html {len(body)}\n".encode()
    return gzip.compress(head + line + body + b"\n")


def parquet() -> bytes:
    stream = io.BytesIO()
    pl.DataFrame({"text": [TEXT, TEXT], "title": ["a", "b"]}).write_parquet(stream)
    return stream.getvalue()


def pdf() -> bytes:
    content = b"BT /F1 12 Tf 72 720 Td (It was a bright cold day in April) Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, one) for number, one in enumerate(objects, 1))
    return b"%PDF-1.4\n" + body + b"trailer << /Root 1 0 R /Size 6 >>\n%%EOF"


WHOLE: dict[Format, Callable[[], bytes]] = {
    Format.WARC: warc,
    Format.ARC: arc,
    Format.HTML: PAGE.encode,
    Format.EPUB: lambda: archive(EPUB),
    Format.PDF: pdf,
    Format.FB2: FB2.encode,
    Format.DOCX: lambda: archive({"[Content_Types].xml": "<Types/>", "word/document.xml": DOCX}),
    Format.MEDIAWIKI: lambda: bz2.compress(WIKI.encode()),
    Format.CODE: lambda: archive({"a/main.py": "import b\nprint(b.c)\n", "a/b.py": "c = 1\n"}),
    Format.QA_JSONL: lambda: lines({"question": "Is it cold?", "answer": TEXT}),
    Format.ARTICLE_JSONL: lambda: lines({"title": "April", "content": TEXT}),
    Format.K12_JSONL: lambda: lines({"region": "北京", "question": TEXT, "answers": "十三"}),
    Format.INSTRUCT_JSONL: lambda: lines({"instruction": "Say it.", "output": TEXT}),
    Format.JSONL: lambda: lines({"text": TEXT}),
    Format.JSON: lambda: json.dumps([{"text": TEXT}] * 2).encode(),
    Format.CSV: lambda: f'title,text\nApril,"{TEXT}"\n'.encode(),
    Format.PARQUET: parquet,
    Format.TXT: TEXT.encode,
    Format.PARALLEL_TSV: "en\tzh\nA bright day.\t晴朗的一天。\n".encode,
    Format.TMX: TMX.encode,
}


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Return the content with pieces cut out, overwritten or repeated, or cut short."""
    place = st.integers(0, max(len(content) - 1, 0))
    change = st.tuples(place, st.integers(0, 40), st.binary(max_size=20))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        result = content
        for at, length, new in changes:
            result = result[:at] + new + result[at + length :]
        return result

    return st.lists(change, min_size=1, max_size=4).map(apply) | place.map(lambda end: content[:end])


@pytest.mark.parametrize("format", sorted(WHOLE))
def test_a_whole_file_is_read(format: Format, tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "file").write_bytes(WHOLE[format]())
    found = list(read_file(tmp_path / "file", format, limits))
    assert found
    assert all(isinstance(one, Record) for one in found), found


@pytest.mark.parametrize("format", sorted(WHOLE))
def test_whatever_the_damage_a_reader_gives_documents_and_reasons(
    format: Format, tmp_path_factory: pytest.TempPathFactory, limits: ReaderLimits
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "file"

    @settings(
        max_examples=EXAMPLES,
        deadline=5000,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(damaged(WHOLE[format]()))
    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = list(read_file(path, format, limits))
        assert found, "neither a document nor a reason"
        for one in found:
            if isinstance(one, Record):
                assert one.text.strip()
            else:
                assert isinstance(one, Reject) and one.detail
        records = [one.locator for one in found if isinstance(one, Record)]
        assert len(records) == len(set(records))

    read()

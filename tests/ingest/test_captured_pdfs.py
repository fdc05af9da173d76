"""PDFs that a crawler captured are read by their content, whatever their header says."""

import gzip
import io
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

SENTENCE = "Perplexity of the validation set by step"
PAGE = (
    b"<html><title>Gone</title><body><p>The paper that you look for has moved to another address.</p></body>"
)


@pytest.fixture(scope="module")
def paper() -> bytes:
    """A real PDF, of one page."""
    out = io.BytesIO()
    figure = Figure()
    figure.text(0.1, 0.5, SENTENCE)
    figure.savefig(out, format="pdf", metadata={"Title": "A Paper", "CreationDate": None})
    return out.getvalue()


def found(path: Path, limits: ReaderLimits, *captures: tuple[str, bytes]) -> list[tuple[str, str]]:
    """Write captures (headers in lines, body) as a WARC file; return title and text, or the reason."""
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for headers, body in captures:
            fields = [tuple(line.split(": ", 1)) for line in headers.splitlines()]
            http = StatusAndHeaders("200 OK", fields, protocol="HTTP/1.1")
            record = writer.create_warc_record(
                "http://example.org/paper", "response", payload=io.BytesIO(body), http_headers=http
            )
            writer.write_record(record)
    return [
        (result.title, result.text) if isinstance(result, Record) else (str(result.reason), result.detail)
        for result in read_file(path, "warc", limits)
    ]


@pytest.mark.parametrize(
    "media_type", ["application/pdf", "application/octet-stream", "text/html", "Application/PDF; name=a.pdf"]
)
def test_a_pdf_is_read_whatever_its_header_calls_it(
    media_type: str, paper: bytes, tmp_path: Path, limits: ReaderLimits
) -> None:
    (one,) = found(tmp_path / "a.warc.gz", limits, (f"Content-Type: {media_type}", paper))
    assert one == ("A Paper", SENTENCE)


def test_a_packed_pdf_is_unpacked_first(paper: bytes, tmp_path: Path, limits: ReaderLimits) -> None:
    headers = "Content-Type: application/octet-stream\nContent-Encoding: gzip"
    assert found(tmp_path / "a.warc.gz", limits, (headers, gzip.compress(paper))) == [("A Paper", SENTENCE)]


def test_address_date_and_pages_are_known_of_a_captured_pdf(
    paper: bytes, tmp_path: Path, limits: ReaderLimits
) -> None:
    found(tmp_path / "a.warc.gz", limits, ("Content-Type: application/pdf", paper))
    (record,) = read_file(tmp_path / "a.warc.gz", "warc", limits)
    assert isinstance(record, Record)
    assert (record.locator, record.url, record.meta["pages"]) == ("0", "http://example.org/paper", 1)
    assert record.meta["media_type"] == "application/pdf"


def test_what_cannot_be_read_is_quarantined_and_the_pages_around_it_are_read(
    paper: bytes, tmp_path: Path, limits: ReaderLimits
) -> None:
    results = found(
        tmp_path / "a.warc.gz",
        limits,
        ("Content-Type: text/html", PAGE),
        ("Content-Type: application/pdf", PAGE),
        ("Content-Type: application/pdf", paper[:500]),
        ("Content-Type: application/octet-stream", b"\x7fELF" + bytes(2000)),
        ("Content-Type: text/html", PAGE),
    )
    assert [first for first, _ in results] == ["Gone", "corrupt", "corrupt", "Gone"]
    assert results[1][1] == "its header says PDF, but its content is none"


def test_an_arc_file_has_pdfs_too(paper: bytes, tmp_path: Path, limits: ReaderLimits) -> None:
    content = b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n" + paper
    header = f"http://example.org/a.pdf 192.0.2.1 20010203040506 application/pdf {len(content)}\n"
    version = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n\n"
    start = f"filedesc://a.arc 0.0.0.0 20010203040506 text/plain {len(version)}\n"
    (tmp_path / "a.arc").write_bytes(start.encode() + version + b"\n" + header.encode() + content + b"\n")
    (record,) = read_file(tmp_path / "a.arc", "arc", limits)
    assert not isinstance(record, Reject)
    assert (record.text, record.url) == (SENTENCE, "http://example.org/a.pdf")

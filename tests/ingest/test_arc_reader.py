"""ARC files, the format before WARC, give the same records."""

import gzip
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

TEXT = "It was a bright cold day in April, and the clocks were striking thirteen."
VERSION = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n\n"


def record(address: str, content: bytes, *, length: int | None = None) -> bytes:
    return (
        f"{address} 192.0.2.1 20010203040506 text/html {length or len(content)}\n".encode() + content + b"\n"
    )


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/html; charset=GB2312", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def write(path: Path, *records: bytes, head: bytes | None = None) -> Path:
    members = [head or record("filedesc://a.arc", VERSION), *records]
    packed = [gzip.compress(member) for member in members] if path.suffix == ".gz" else members
    path.write_bytes(b"".join(packed))
    return path


def read(path: Path, limits: ReaderLimits) -> list[Record | Reject]:
    return list(read_file(path, "arc", limits))


@pytest.mark.parametrize("name", ["a.arc", "a.arc.gz"])
def test_every_page_becomes_a_record(name: str, tmp_path: Path, limits: ReaderLimits) -> None:
    chinese = "话说天下大势，分久必合，合久必分。"
    path = write(
        tmp_path / name,
        record("http://example.org/1", response(f"<title>t</title><p>{TEXT}".encode())),
        record("http://example.org/2", response(f"<p>{chinese}".encode("gb2312"))),
        record("http://example.org/3", response(b"<p>no", "404 Not Found")),
        record(
            "http://example.org/4",
            response(gzip.compress(f"<p>{TEXT}".encode()), "200 OK", "Content-Encoding: gzip"),
        ),
    )
    first, second, third = read(path, limits)
    assert isinstance(first, Record)
    assert (first.url, first.title, first.text) == ("http://example.org/1", "t", TEXT)
    assert first.meta["date"] == "20010203040506"
    assert isinstance(second, Record)
    assert second.text == chinese
    assert isinstance(third, Record)
    assert third.text == TEXT


def test_headers_of_version_2_are_read(tmp_path: Path, limits: ReaderLimits) -> None:
    content = response(f"<p>{TEXT}".encode())
    line = f"http://example.org/1 192.0.2.1 20010203040506 text/html 200 checksum - 0 a.arc {len(content)}\n"
    (only,) = read(write(tmp_path / "a.arc", line.encode() + content), limits)
    assert isinstance(only, Record)
    assert only.text == TEXT


def test_a_short_record_is_truncated(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write(
        tmp_path / "a.arc", record("http://example.org/1", response(b"<p>" + TEXT.encode()), length=10_000)
    )
    (reject,) = read(path, limits)
    assert isinstance(reject, Reject)
    assert reject.reason == "truncated"


def test_what_is_no_header_ends_the_file(tmp_path: Path, limits: ReaderLimits) -> None:
    page = record("http://example.org/1", response(b"<p>" + TEXT.encode()))
    good, bad = read(write(tmp_path / "a.arc", page, b"garbage\n", page), limits)
    assert isinstance(good, Record)
    assert isinstance(bad, Reject)
    assert (bad.reason, "no ARC header" in bad.detail) == ("corrupt", True)

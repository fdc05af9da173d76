"""WARC files become one record a page, whole or broken off."""

import gzip
import io
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject
from phoenix_assets.schema import RejectReason

ENGLISH = "It was a bright cold day in April, and the clocks were striking thirteen."
CHINESE = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。"


def page(text: str, title: str = "A page") -> bytes:
    return (
        f"<html><head><title>{title}</title></head><body><nav><a href='/'>Home</a></nav>"
        f"<main><p>{text}</p></main></body></html>"
    ).encode()


def write_warc(
    path: Path,
    bodies: Iterable[bytes],
    *,
    headers: Iterable[tuple[str, str]] = (("Content-Type", "text/html"),),
    status: str = "200 OK",
) -> Path:
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=path.suffix == ".gz")
        writer.write_record(writer.create_warcinfo_record(path.name, {"software": "test"}))
        for number, body in enumerate(bodies):
            http = StatusAndHeaders(status, list(headers), protocol="HTTP/1.1")
            record = writer.create_warc_record(
                f"http://example.org/{number}", "response", payload=io.BytesIO(body), http_headers=http
            )
            writer.write_record(record)
    return path


def read(path: Path, limits: ReaderLimits) -> list[Record | Reject]:
    return list(read_file(path, "warc", limits))


def reasons(results: list[Record | Reject]) -> list[str]:
    return ["record" if isinstance(result, Record) else str(result.reason) for result in results]


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_every_page_gives_its_main_text_title_and_address(
    name: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    path = write_warc(tmp_path / name, [page(ENGLISH), page(CHINESE, "三国")])
    first, second = read(path, limits)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.text, first.title, first.url) == (ENGLISH, "A page", "http://example.org/0")
    assert (second.text, second.title) == (CHINESE, "三国")
    assert first.locator != second.locator
    assert first.meta["media_type"] == "text/html"


@pytest.mark.parametrize("encoding", ["gb18030", "gb2312", "big5", "utf-8"])
def test_declared_encodings_are_read(encoding: str, tmp_path: Path, limits: ReaderLimits) -> None:
    text = {"big5": "天下大勢，分久必合，合久必分。"}.get(encoding, CHINESE)
    body = page(text).decode().encode(encoding)
    path = write_warc(
        tmp_path / "a.warc.gz", [body], headers=[("Content-Type", f"text/html; charset={encoding}")]
    )
    (record,) = read(path, limits)
    assert isinstance(record, Record)
    assert record.text == text


def test_pages_that_are_not_documents_leave_no_trace(tmp_path: Path, limits: ReaderLimits) -> None:
    missing = write_warc(tmp_path / "a.warc", [page(ENGLISH)], status="404 Not Found").read_bytes()
    picture = write_warc(
        tmp_path / "b.warc", [b"\x89PNG"], headers=[("Content-Type", "image/png")]
    ).read_bytes()
    good = write_warc(tmp_path / "c.warc", [page(ENGLISH)])
    good.write_bytes(missing + picture + good.read_bytes())
    assert reasons(read(good, limits)) == ["record"]


def test_a_page_without_main_content_is_quarantined(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_warc(tmp_path / "a.warc", [b"<html><body><script>x</script></body></html>", page(ENGLISH)])
    results = read(path, limits)
    assert reasons(results) == ["empty_text", "record"]


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
@pytest.mark.parametrize("missing", [60, 300, 420])
def test_a_truncated_file_gives_the_good_records_then_one_reject(
    name: str, missing: int, tmp_path: Path, limits: ReaderLimits
) -> None:
    path = write_warc(tmp_path / name, [page(f"{ENGLISH} {number}") for number in range(5)])
    path.write_bytes(path.read_bytes()[:-missing])
    results = read(path, limits)
    assert reasons(results) == ["record"] * 4 + ["truncated"]


def starts(path: Path, mark: bytes) -> list[int]:
    content = path.read_bytes()
    return [match.start() for match in re.finditer(re.escape(mark), content)]


def test_after_a_damaged_member_the_next_ones_are_read(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_warc(tmp_path / "a.warc.gz", [page(f"{ENGLISH * 20} {number}") for number in range(5)])
    third = starts(path, b"\x1f\x8b\x08")[3]
    content = bytearray(path.read_bytes())
    content[third + 60 : third + 120] = bytes(60)
    path.write_bytes(content)
    results = read(path, limits)
    assert reasons(results) == ["record", "record", "corrupt", "record", "record"]
    assert results[2].locator == str(third)


def test_after_a_member_cut_short_the_next_ones_are_read(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_warc(tmp_path / "a.warc.gz", [page(f"{ENGLISH * 20} {number}") for number in range(5)])
    members = starts(path, b"\x1f\x8b\x08")
    content = path.read_bytes()
    path.write_bytes(content[: members[3] + 100] + content[members[4] :])
    assert reasons(read(path, limits)) == ["record", "record", "corrupt", "record", "record"]


def test_a_wrong_checksum_is_not_passed_over(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_warc(tmp_path / "a.warc.gz", [page(ENGLISH), page(ENGLISH)])
    content = bytearray(path.read_bytes())
    second = starts(path, b"\x1f\x8b\x08")[2]
    content[second - 8] ^= 1
    path.write_bytes(content)
    assert reasons(read(path, limits)) == ["corrupt", "record"]


@pytest.mark.parametrize("change", [-300, 100])
def test_a_record_that_lies_about_its_length_costs_only_itself(
    change: int, tmp_path: Path, limits: ReaderLimits
) -> None:
    path = write_warc(tmp_path / "a.warc", [page(f"{ENGLISH * 5} {number}") for number in range(4)])
    content = path.read_bytes()
    second = starts(path, b"WARC/1.")[2]
    length = re.compile(rb"Content-Length: (\d+)").search(content, second)
    assert length is not None
    lie = b"Content-Length: %d" % (int(length[1]) + change)
    path.write_bytes(content[: length.start()] + lie + content[length.end() :])
    results = read(path, limits)
    assert reasons(results) == ["record", "corrupt", "record", "record"]
    assert results[1].locator == str(second)


def test_garbage_between_records_costs_no_later_record(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_warc(tmp_path / "a.warc", [page(f"{ENGLISH} {number}") for number in range(3)])
    content, second = path.read_bytes(), starts(path, b"WARC/1.")[2]
    path.write_bytes(content[:second] + b"\0\xff" * 500 + b"\r\n\r\n" + content[second:])
    assert reasons(read(path, limits)) == ["corrupt", "record", "record"]


def test_a_zstd_file_is_read_too(tmp_path: Path, limits: ReaderLimits) -> None:
    plain = write_warc(tmp_path / "a.warc", [page(ENGLISH), page(CHINESE)])
    path = tmp_path / "a.warc.zst"
    path.write_bytes(pa.compress(plain.read_bytes(), codec="zstd", asbytes=True))
    assert [result.text for result in read(path, limits) if isinstance(result, Record)] == [ENGLISH, CHINESE]


def test_brotli_and_chunked_bodies_are_decoded(tmp_path: Path, limits: ReaderLimits) -> None:
    body = pa.compress(page(ENGLISH), codec="brotli", asbytes=True)
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:40], body[40:], b""))
    headers = [("Content-Type", "text/html"), ("Content-Encoding", "br"), ("Transfer-Encoding", "chunked")]
    (record,) = read(write_warc(tmp_path / "a.warc", [chunked], headers=headers), limits)
    assert isinstance(record, Record)
    assert record.text == ENGLISH


def test_compressed_bodies_are_decoded(tmp_path: Path, limits: ReaderLimits) -> None:
    for coding, body in (("gzip", gzip.compress(page(ENGLISH))), ("deflate", zlib.compress(page(ENGLISH)))):
        headers = [("Content-Type", "text/html"), ("Content-Encoding", coding)]
        path = write_warc(tmp_path / f"{coding}.warc", [body, body], headers=headers)
        assert [result.text for result in read(path, limits) if isinstance(result, Record)] == [ENGLISH] * 2


def test_a_gzip_bomb_in_a_record_is_refused_and_the_next_record_read(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    bomb = gzip.compress(bytes(80_000_000))
    headers = [("Content-Type", "text/html"), ("Content-Encoding", "gzip")]
    path = write_warc(tmp_path / "a.warc.gz", [bomb, gzip.compress(page(ENGLISH))], headers=headers)
    results = read(path, limits)
    assert reasons(results) == ["bomb", "record"]
    assert isinstance(results[0], Reject)
    assert len(results[0].payload) <= limits.payload_bytes


def test_a_document_of_50_megabytes_is_too_large(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_warc(tmp_path / "a.warc.gz", [page("word " * 10_000_000), page(ENGLISH)])
    results = read(path, limits)
    assert reasons(results) == ["too_large", "record"]


def test_a_page_of_deep_nesting_is_a_bomb(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_warc(tmp_path / "a.warc.gz", [b"<div>" * 200_000 + b"x", page(ENGLISH)])
    assert reasons(read(path, limits)) == ["bomb", "record"]


def test_a_page_in_no_encoding_is_quarantined(tmp_path: Path, limits: ReaderLimits) -> None:
    body = page("x").replace(b"x", bytes([0x81, 0xFF, 0xFE, 0x80, 0x00, 0xFD]) * 200)
    headers = [("Content-Type", "text/html; charset=utf-8")]
    path = write_warc(tmp_path / "a.warc", [body], headers=headers)
    assert reasons(read(path, limits)) == ["invalid_encoding"]


def test_extracted_text_records_are_read_as_they_are(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "a.warc.wet.gz"
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        record = writer.create_warc_record(
            "http://example.org/w",
            "conversion",
            payload=io.BytesIO(CHINESE.encode()),
            warc_content_type="text/plain",
        )
        writer.write_record(record)
    (result,) = read(path, limits)
    assert isinstance(result, Record)
    assert (result.text, result.url) == (CHINESE, "http://example.org/w")


def test_rejects_name_a_record_that_can_be_found_again(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_warc(tmp_path / "a.warc", [b"<div>" * 2000, page(ENGLISH)])
    reject = read(path, limits)[0]
    assert isinstance(reject, Reject)
    assert reject.reason is RejectReason.BOMB
    assert path.read_bytes()[int(reject.locator) :].startswith(b"WARC/")

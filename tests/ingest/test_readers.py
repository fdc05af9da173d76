"""One way to call every reader: whatever a file holds, Records and Rejects come out."""

import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from phoenix_assets.ingest import readers
from phoenix_assets.ingest.config import Format, ReaderLimits
from phoenix_assets.ingest.readers import READERS, read_file
from phoenix_assets.ingest.records import Record, Reject
from phoenix_assets.schema import RejectReason


def only(path: Path, format: str, limits: ReaderLimits) -> Reject:
    (result,) = read_file(path, format, limits)
    assert isinstance(result, Reject)
    return result


def test_every_format_has_a_reader() -> None:
    assert {*READERS, Format.MIXED} == set(Format)


def test_an_unknown_format_is_told_with_the_known_ones(tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a.lit").write_bytes(b"x")
    reject = only(tmp_path / "a.lit", "lit", limits)
    assert reject.reason is RejectReason.UNKNOWN_FORMAT
    assert "epub" in reject.detail


@pytest.mark.parametrize(
    ("format", "content", "looks"),
    [
        ("pdf", b"PK\x03\x04rest", "a zip archive"),
        ("epub", b"%PDF-1.7", "PDF"),
        ("warc", b"<html>", "text"),
        ("warc", gzip.compress(b"just text"), "text"),
        ("txt", b"\x89PNG\r\n", "a PNG picture"),
        ("jsonl", b"PAR1\x00", "Parquet"),
        ("html", b"%PDF-1.4", "PDF"),
        ("mediawiki", b"\x7fELF\x02", "an executable"),
    ],
)
def test_content_that_is_not_what_the_manifest_says_is_refused(
    format: str, content: bytes, looks: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    (tmp_path / "a").write_bytes(content)
    reject = only(tmp_path / "a", format, limits)
    assert reject.reason is RejectReason.CORRUPT
    assert f"says {format}" in reject.detail
    assert f"looks like {looks}" in reject.detail


def test_xml_that_is_no_dump_is_refused(tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a.xml").write_bytes(b"<rss></rss>")
    assert only(tmp_path / "a.xml", "mediawiki", limits).reason is RejectReason.CORRUPT


def test_a_file_in_which_nothing_is_found_is_quarantined(tmp_path: Path, limits: ReaderLimits) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("picture.png", b"\x89PNG")
    reject = only(tmp_path / "a.zip", "code", limits)
    assert (reject.reason, reject.locator) == (RejectReason.EMPTY_TEXT, "")


@pytest.mark.parametrize("format", sorted(Format))
def test_an_empty_file_is_quarantined(format: str, tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert only(tmp_path / "a", format, limits).reason is RejectReason.EMPTY_TEXT


def test_a_library_error_becomes_a_reject_after_the_records_before_it(
    tmp_path: Path, limits: ReaderLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
        yield Record("0", "", "", "", "good")
        raise KeyError("lost")

    monkeypatch.setattr(readers, "READERS", {"txt": failing})
    (tmp_path / "a.txt").write_bytes(b"x")
    good, bad = read_file(tmp_path / "a.txt", "txt", limits)
    assert isinstance(good, Record)
    assert isinstance(bad, Reject)
    assert bad.reason is RejectReason.CORRUPT
    assert "KeyError" in bad.detail


def test_a_missing_file_is_an_error_of_ours_not_a_reject(tmp_path: Path, limits: ReaderLimits) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_file(tmp_path / "nowhere", "txt", limits))


def test_the_same_file_gives_the_same_results(tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a", "z": 1, "b": 2}\nbad\n')
    first, second = (list(read_file(tmp_path / "a.jsonl", "jsonl", limits)) for _ in range(2))
    assert first == second


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    st.sampled_from(
        [
            ("warc", b"WARC/1.0\r\n"),
            ("warc", b"\x1f\x8b\x08\x00"),
            ("epub", b"PK\x03\x04"),
            ("pdf", b"%PDF-1.4\n"),
            ("mobi", bytes(60) + b"BOOKMOBI" + bytes(8) + b"\0\1" + bytes(3) + b"\x56"),
            ("fb2", b"<FictionBook>"),
            ("docx", b"PK\x03\x04"),
            ("mixed", b"PK\x03\x04"),
            ("mixed", b""),
            ("mediawiki", b"<mediawiki>"),
            ("code", b"PK\x03\x04"),
            ("code", b"BZh9"),
            ("code", b"\xfd7zXZ\x00"),
        ]
    ),
    st.binary(max_size=400),
)
def test_garbage_behind_the_right_magic_bytes_never_raises(
    tmp_path: Path, limits: ReaderLimits, start: tuple[str, bytes], rest: bytes
) -> None:
    path = tmp_path / "a"
    path.write_bytes(start[1] + rest)
    for result in read_file(path, start[0], limits):
        assert isinstance(result, Record | Reject)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
@example(258, b"\x01")  # an offset before the beginning of the file
def test_a_book_damaged_anywhere_never_raises(
    tmp_path: Path, limits: ReaderLimits, position: int, damage: bytes
) -> None:
    path = tmp_path / "a.epub"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.xhtml", "<p>text</p>" * 5)
        archive.writestr("b.opf", "<package/>")
    content = bytearray(path.read_bytes())
    content[position : position + len(damage)] = damage
    path.write_bytes(content)
    for result in read_file(path, "epub", limits):
        assert isinstance(result, Record | Reject)

"""Deliveries as vendors really send them: what is bad ends in quarantine with a reason, what is good goes on."""

import gzip
import io
import json
import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from phoenix_assets.ingest.delivery import DeliveryManifest, Licence, Use, describe, write_manifest
from phoenix_assets.lineage import SideTable
from resources.quarantine import quarantined

LONG_AGO = 1_700_000_000
TEXT = "It was a bright cold day in April, and the clocks were striking thirteen."
ANSWER = {"question": "What time is it?", "answer": TEXT}
GZIP_MEMBER = b"\x1f\x8b\x08"
MEGABYTE = 2**20


def deliver(
    landing: Path, source: str, delivery: str, format: str, files: dict[str, bytes], **changes: object
) -> Path:
    folder = landing / source / delivery
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = DeliveryManifest(
        source=source,
        delivery=delivery,
        vendor="a vendor",
        licence=Licence(id="CC-BY-4.0", allows=(Use.PRETRAINING,)),
        received=date(2024, 8, 1),
        format=format,
        files=tuple(describe(folder, name) for name in files),
    )
    write_manifest(folder, manifest.model_copy(update=changes))
    return folder


def settle(landing: Path) -> None:
    """Make everything look as if nobody had touched it for long."""
    for path in [*landing.rglob("*")]:
        os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)


def warc(*bodies: bytes) -> bytes:
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    for number, body in enumerate(bodies):
        headers = [("Content-Type", "text/html; charset=utf-8")]
        if body.startswith(b"\x1f\x8b"):
            headers.append(("Content-Encoding", "gzip"))
        http = StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(
                f"http://example.org/{number}", "response", payload=io.BytesIO(body), http_headers=http
            )
        )
    return stream.getvalue()


def page(text: str) -> bytes:
    return f"<html><head><title>A page</title></head><body><main><p>{text}</p></main></body></html>".encode()


def many_pages() -> bytes:
    return warc(*(page(f"{TEXT} Page {number}. " + os.urandom(400).hex()) for number in range(40)))


@pytest.fixture
def landing(empty_home) -> Path:
    return empty_home.path / "landing"


def reasons(home) -> dict[tuple[str, str], set[str]]:
    """Return what is in quarantine: (delivery, file) to reasons."""
    found: dict[tuple[str, str], set[str]] = {}
    for row in quarantined(home.lake).iter_rows(named=True):
        assert row["detail"], row
        found.setdefault((row["delivery"], row["file"]), set()).add(row["reason"])
    return found


def documents(home, source: str, delivery: str) -> pl.DataFrame:
    return home.lake.read(home.record(f"{source}/extracted", delivery).as_input()).collect()


def assert_ledger_counts_every_record(home, source: str, delivery: str) -> None:
    for stage in ("raw", "extracted"):
        record = home.record(f"{source}/{stage}", delivery).record
        ledger = home.lake.read(record.side_tables[SideTable.LEDGER]).collect()
        assert (
            ledger.height
            == record.counts["rows_in"]
            == record.counts["rows_out"] + record.counts["quarantined"]
        )


def test_deliveries_that_cannot_be_taken_are_quarantined_whole(empty_home, landing: Path) -> None:
    good = {"a.txt": TEXT.encode()}
    deliver(landing, "book", "good", "txt", good)
    deliver(landing, "podcast", "d1", "txt", good)
    deliver(landing, "book", "sheets", "xlsx", good)
    deliver(landing, "book", "nothing", "txt", {})
    outside = deliver(landing, "book", "outside", "txt", good) / "delivery.yaml"
    outside.chmod(0o644)
    outside.write_text(outside.read_text("utf-8").replace("a.txt", "../good/a.txt"), "utf-8")
    broken = deliver(landing, "book", "broken", "txt", good) / "delivery.yaml"
    broken.chmod(0o644)
    broken.write_bytes(b"source: [book\n\xff")
    renamed = deliver(landing, "book", "original", "txt", good)
    renamed.rename(renamed.with_name("renamed"))
    (landing / "book" / "silent").mkdir()
    (landing / "book" / "silent" / "a.txt").write_bytes(b"x")
    settle(landing)
    said = empty_home.take_landed()
    assert said.pop("book/good") == ""
    assert all(problem.startswith("rejected, ") for problem in said.values())
    assert reasons(empty_home) == {
        ("d1", "delivery.yaml"): {"unknown_source"},
        ("sheets", "delivery.yaml"): {"unknown_format"},
        ("nothing", "delivery.yaml"): {"empty_delivery"},
        ("outside", "delivery.yaml"): {"path_escapes"},
        ("broken", "delivery.yaml"): {"bad_manifest"},
        ("renamed", "delivery.yaml"): {"bad_manifest"},
        ("silent", "delivery.yaml"): {"missing_file"},
    }
    version = empty_home.lake.version("quarantine/landing")
    assert empty_home.take_landed() == said
    assert empty_home.lake.version("quarantine/landing") == version  # nothing new, nothing written
    empty_home.bring_up("book/extracted")
    assert documents(empty_home, "book", "good")["text"].to_list() == [TEXT]


def test_a_delivery_that_is_still_arriving_is_left_alone(empty_home, landing: Path) -> None:
    folder = deliver(landing, "book", "d1", "txt", {"a.txt": TEXT.encode(), "b.txt": TEXT.encode()})
    (folder / "b.txt").write_bytes(b"It was")
    assert empty_home.take_landed() == {"book/d1": "still arriving: b.txt: not complete yet"}
    assert reasons(empty_home) == {}
    (folder / "b.txt").write_bytes(TEXT.encode())
    assert empty_home.take_landed() == {"book/d1": ""}


def test_bad_files_of_a_delivery_are_quarantined_and_the_others_go_on(empty_home, landing: Path) -> None:
    files = {
        name: f"{TEXT} ({name})".encode() for name in ("good.txt", "changed.txt", "lost.txt", "grown.txt")
    }
    files["empty.txt"] = b""
    files["bytes.txt"] = bytes(range(128, 256)) * 50
    files["huge.txt"] = b"It was a bright cold day in April. " * (50 * MEGABYTE // 35)
    folder = deliver(landing, "book", "d1", "txt", files)
    (folder / "changed.txt").write_bytes(files["changed.txt"].replace(b"April", b"March"))
    (folder / "grown.txt").write_bytes(files["grown.txt"] + b"!")
    (folder / "lost.txt").unlink()
    settle(landing)
    assert empty_home.take_landed() == {"book/d1": ""}
    empty_home.bring_up("book/extracted")
    assert reasons(empty_home) == {
        ("d1", "changed.txt"): {"wrong_checksum"},
        ("d1", "grown.txt"): {"wrong_size"},
        ("d1", "lost.txt"): {"missing_file"},
        ("d1", "empty.txt"): {"empty_text"},
        ("d1", "bytes.txt"): {"invalid_encoding"},
        ("d1", "huge.txt"): {"too_large"},
    }
    assert documents(empty_home, "book", "d1")["text"].to_list() == [f"{TEXT} (good.txt)"]
    assert_ledger_counts_every_record(empty_home, "book", "d1")


def test_bad_records_of_a_crawl_are_quarantined_and_the_pages_around_them_go_on(
    empty_home, landing: Path
) -> None:
    bomb = gzip.compress(b"<p>" + b"\0" * (64 * MEGABYTE))
    nested = b"<html><body>" + b"<div>" * 20_000 + b"deep" + b"</div>" * 20_000
    whole = many_pages()
    within_a_record = whole.index(GZIP_MEMBER, len(whole) // 2) + 20
    files = {
        "bombs.warc.gz": warc(page(TEXT), bomb, nested, page(TEXT + " Again.")),
        "cut.warc.gz": whole[:within_a_record],
        "not-a-warc.warc.gz": b"%PDF-1.7 this is something else",
    }
    deliver(landing, "cc", "d1", "warc", files)
    empty_home.take_landed()
    empty_home.bring_up("cc/extracted")
    found = reasons(empty_home)
    assert found[("d1", "bombs.warc.gz")] == {"bomb", "too_large"} or found[("d1", "bombs.warc.gz")] == {
        "bomb"
    }
    assert found[("d1", "cut.warc.gz")] == {"truncated"}
    assert found[("d1", "not-a-warc.warc.gz")] == {"corrupt"}
    texts = documents(empty_home, "cc", "d1").filter(pl.col("locator").str.starts_with("bombs"))["text"]
    assert texts.to_list() == [TEXT, f"{TEXT} Again."]
    from_the_cut_file = documents(empty_home, "cc", "d1").filter(pl.col("locator").str.starts_with("cut"))
    assert 0 < from_the_cut_file.height < 40
    assert_ledger_counts_every_record(empty_home, "cc", "d1")


def test_bad_lines_are_quarantined_with_their_number_and_the_lines_around_them_go_on(
    empty_home, landing: Path
) -> None:
    line = json.dumps(ANSWER).encode()
    huge = json.dumps({**ANSWER, "answer": "x" * (50 * MEGABYTE)}).encode()
    lines = [line, b'{"question": "\xff\xfe?", "answer": "no"}', huge, b'{"question": ', b"[1, 2]", line]
    deliver(landing, "qa", "d1", "qa_jsonl", {"faq.jsonl": b"\n".join(lines) + b"\n"})
    empty_home.take_landed()
    empty_home.bring_up("qa/extracted")
    rows = quarantined(empty_home.lake).sort("locator")
    assert rows["locator"].to_list() == ["2", "3", "4", "5"]
    assert rows["reason"].to_list() == ["invalid_encoding", "too_large", "corrupt", "corrupt"]
    assert all(len(payload) <= 4096 for payload in rows["payload"])
    assert documents(empty_home, "qa", "d1")["locator"].to_list() == ["faq.jsonl#1", "faq.jsonl#6"]
    assert_ledger_counts_every_record(empty_home, "qa", "d1")


def test_a_file_that_changes_after_it_was_registered_is_not_read(empty_home, landing: Path) -> None:
    folder = deliver(landing, "book", "d1", "txt", {"a.txt": TEXT.encode(), "b.txt": TEXT.encode() + b"."})
    empty_home.take_landed()
    empty_home.bring_up("book/raw")
    (folder / "a.txt").write_bytes(TEXT.encode().replace(b"April", b"March"))
    empty_home.bring_up("book/extracted")
    assert reasons(empty_home) == {("d1", "a.txt"): {"wrong_checksum"}}
    assert documents(empty_home, "book", "d1")["text"].to_list() == [f"{TEXT}."]

"""Listings are untrusted: what is taken, what is refused, and how deliveries are cut from them."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.crawl_listing import (
    check_snapshot,
    cut,
    read_checksums,
    read_listing,
    snapshot_of,
)
from phoenix_assets.ingest.download_config import DownloadLimits, load_downloads

FOLDER = "crawl-data/CC-MAIN-2024-22"
# A line of Common Crawl's own listing of May 2024.
REAL = f"{FOLDER}/segments/1715971057216.39/warc/CC-MAIN-20240517233122-20240518023122-00000.warc.gz"


@pytest.fixture
def limits() -> DownloadLimits:
    return load_downloads()["cc"].limits


def packed(*lines: str) -> bytes:
    return gzip.compress("\n".join(lines).encode("utf-8", "surrogateescape") + b"\n")


def test_a_listing_is_read_in_its_own_order(limits) -> None:
    other = REAL.replace("00000", "00001")
    assert read_listing(packed(other, REAL), FOLDER, limits) == (other, REAL)


def test_a_listing_that_is_not_packed_is_read_too(limits) -> None:
    assert read_listing(f"{REAL}\n".encode(), FOLDER, limits) == (REAL,)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd.gz",
        f"{FOLDER}/../../secret.warc.gz",
        f"{FOLDER}/.hidden.warc.gz",
        f"{FOLDER}//a.warc.gz",
        f"{FOLDER}/a\x07.warc.gz",
        f"{FOLDER}/a b.warc.gz",
        f"{FOLDER}/a\\b.warc.gz",
        f"{FOLDER}/a.warc.gz?x=1",
        f"{FOLDER}/a%2e%2e.warc.gz",
        f"{FOLDER}/{'x' * 5000}.warc.gz",
        f"{FOLDER}/{'x' * 250}.warc.gz",
        f"{FOLDER}/delivery.yaml",
        "crawl-data/CC-MAIN-2024-26/a.warc.gz",
        "https://example.org/a.warc.gz",
        f"{REAL}\r",
    ],
)
def test_a_name_that_could_do_harm_refuses_the_listing_and_names_its_line(limits, name: str) -> None:
    with pytest.raises(DownloadError, match="line 2 of the listing"):
        read_listing(packed(REAL, name), FOLDER, limits)


def test_a_file_that_is_listed_twice_refuses_the_listing(limits) -> None:
    with pytest.raises(DownloadError, match=r"line 2 of the listing, .* repeats line 1"):
        read_listing(packed(REAL, REAL), FOLDER, limits)


@pytest.mark.parametrize("body", [b"", b"\n", packed(REAL)[:-4], b"\x1f\x8b junk", b"\xff\xfe", packed("ü")])
def test_a_damaged_listing_is_refused(limits, body: bytes) -> None:
    with pytest.raises(DownloadError):
        read_listing(body, FOLDER, limits)


def test_a_bomb_is_not_unpacked(limits) -> None:
    bomb = gzip.compress(b"a" * (limits.max_listing_bytes + 1), 9)
    with pytest.raises(DownloadError, match="unpacks to more than"):
        read_listing(bomb, FOLDER, limits)


def test_more_lines_than_allowed_are_refused(limits) -> None:
    few = limits.model_copy(update={"max_files": 1})
    with pytest.raises(DownloadError, match="2 lines"):
        read_listing(packed(REAL, REAL.replace("00000", "00001")), FOLDER, few)


@given(st.integers(1, 300), st.integers(1, 50))
def test_every_file_is_in_exactly_one_delivery(files: int, per_delivery: int) -> None:
    paths = tuple(f"{number}.warc.gz" for number in range(files))
    deliveries = cut("CC-MAIN-2024-22", paths, per_delivery)
    assert tuple(path for delivery in deliveries for path in delivery.paths) == paths
    assert all(len(delivery.paths) == per_delivery for delivery in deliveries[:-1])
    assert [snapshot_of(delivery.name) for delivery in deliveries] == ["CC-MAIN-2024-22"] * len(deliveries)
    assert deliveries[0].name == "CC-MAIN-2024-22-000"


@pytest.mark.parametrize(
    "name", ["", "CC-MAIN", "CC-MAIN-2024-22-1", "../x-000", "a/b-000", ".x-000", "x-00a"]
)
def test_another_name_is_no_delivery(name: str) -> None:
    with pytest.raises(DownloadError):
        snapshot_of(name)


@pytest.mark.parametrize("name", ["", "..", "a/b", "CC MAIN", "x" * 100, "a\n"])
def test_another_name_is_no_snapshot(name: str) -> None:
    with pytest.raises(DownloadError):
        check_snapshot(name)


def test_checksums_are_read_as_sha256sum_writes_them(limits) -> None:
    digest = "5f" * 32
    assert read_checksums(packed(f"{digest}  {REAL}", f"{digest} *b.warc.gz"), limits) == {
        REAL: digest,
        "b.warc.gz": digest,
    }
    with pytest.raises(DownloadError, match="line 1 of the checksums"):
        read_checksums(packed(f"{digest[:-1]}  {REAL}"), limits)

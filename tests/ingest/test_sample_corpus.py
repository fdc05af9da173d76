"""The small sample corpus, built from the real archives (kept in the cache of the Phoenix home)."""

import datetime
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from fastwarc.warc import ArchiveIterator, WarcRecordType

from phoenix_assets.ingest.delivery import DeliveryManifest, Use, read_manifest, verify
from phoenix_assets.ingest.sample.archives import ArchiveError, fetch, read_members
from phoenix_assets.ingest.sample.build import Landed, build_sample, load_sample_config
from phoenix_assets.ingest.sample.config import Evidence, Recrawl

REPOSITORY = Path(__file__).resolve().parents[2]
ARCHIVES = Path(os.environ.get("PHOENIX_HOME", REPOSITORY / ".phoenix")) / "cache" / "archives"
CONFIG = load_sample_config(REPOSITORY / "config" / "sample.yaml")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    build_sample(home, CONFIG, small=True, cache=ARCHIVES)
    return home


@pytest.fixture(scope="module")
def manifests(home: Path) -> dict[Path, DeliveryManifest]:
    folders = sorted(path.parent for path in (home / "landing").glob("*/*/delivery.yaml"))
    return {folder: read_manifest(folder) for folder in folders}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def responses(folder: Path) -> dict[str, bytes]:
    pages = {}
    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                assert record.http_content_type == "text/html"
                assert record.http_charset == "utf-8"
                pages[record.headers["WARC-Target-URI"]] = record.reader.read()
    return pages


def test_every_source_has_a_delivery(manifests: dict[Path, DeliveryManifest]) -> None:
    assert {manifest.source for manifest in manifests.values()} == {
        "cc", "wiki", "book", "poetry", "code", "qa", "parallel", "manual",
    }  # fmt: skip


def test_every_manifest_verifies(manifests: dict[Path, DeliveryManifest]) -> None:
    assert {folder.name: verify(folder, manifest) for folder, manifest in manifests.items()} == {
        folder.name: [] for folder in manifests
    }


def test_every_delivery_records_its_licence_and_its_archives(manifests: dict[Path, DeliveryManifest]) -> None:
    for folder, manifest in manifests.items():
        origin = yaml.safe_load((folder / "origin.yaml").read_text("utf-8"))
        licences = {archive["licence"] for archive in origin["archives"]}
        assert manifest.licence.id in licences or origin["licence_basis"]
        assert manifest.licence.permits(Use.PRETRAINING, datetime.date(2030, 1, 1))
        assert all(len(archive["sha256"]) == 64 and archive["version"] for archive in origin["archives"])


def test_a_second_call_does_no_work(home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home / "landing").rglob("*")}
    lines: list[str] = []
    landed = build_sample(home, CONFIG, lines.append, small=True, cache=ARCHIVES)
    assert lines == []
    assert not any(one.built for one in landed)
    assert {path: path.stat().st_mtime_ns for path in (home / "landing").rglob("*")} == before


def test_two_builds_give_the_same_bytes(home: Path, tmp_path: Path) -> None:
    build_sample(tmp_path, CONFIG, small=True, cache=ARCHIVES)
    assert tree(tmp_path / "landing") == tree(home / "landing")


def test_a_damaged_delivery_lands_again(tmp_path: Path) -> None:
    build_sample(tmp_path, CONFIG, small=True, cache=ARCHIVES)
    lost = tmp_path / "landing/book/sanguo-vol1/002.txt"
    content = lost.read_bytes()
    lost.unlink()
    built: list[Landed] = [
        one for one in build_sample(tmp_path, CONFIG, small=True, cache=ARCHIVES) if one.built
    ]
    assert [one.delivery for one in built] == ["sanguo-vol1"]
    assert lost.read_bytes() == content


def test_the_later_crawl_meets_pages_of_the_earlier_one(home: Path) -> None:
    (spec,) = (one for one in CONFIG.deliveries if isinstance(one, Recrawl))
    earlier = responses(home / "landing/cc" / spec.earlier)
    later = responses(home / "landing/cc" / spec.delivery)
    copied = [body for url, body in later.items() if url.startswith(spec.copied_base_url)]
    edited = [body for url, body in later.items() if url.startswith(spec.edited_base_url)]
    assert copied and set(copied) <= set(earlier.values())
    assert edited and not set(edited) & set(earlier.values())
    assert not set(earlier) & set(later)
    assert len(later) > len(copied) + len(edited)
    overlaps = [max(shared(body, other) for other in earlier.values()) for body in edited]
    assert min(overlaps) > 0.8


def shared(one: bytes, other: bytes) -> float:
    """Return the Jaccard index of the two pages' lines."""
    lines, others = set(one.splitlines()), set(other.splitlines())
    return len(lines & others) / len(lines | others)


def test_pages_carry_both_languages(home: Path) -> None:
    urls = list(responses(home / "landing/cc/CC-MAIN-2024-22-000"))
    assert sum("/zh-CN/" in url for url in urls) == sum("/en-US/" in url for url in urls) > 0


def test_the_code_archive_has_only_plain_files_below_its_top_folder(home: Path) -> None:
    (path,) = (home / "landing/code/cpython-lib").glob("*.tar.gz")
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    assert all(member.isreg() and member.name.startswith("cpython/") for member in members)
    assert all(member.mtime == 0 for member in members)


def test_the_made_book_is_an_epub(home: Path) -> None:
    book = zipfile.ZipFile(io.BytesIO((home / "landing/book/sanguo-vol2/sanguo-vol2.epub").read_bytes()))
    assert book.namelist()[0] == "mimetype"
    assert book.read("mimetype") == b"application/epub+zip"
    assert "第八十一回" in book.read("OEBPS/chapter-001.xhtml").decode("utf-8")


def test_the_small_corpus_is_small(manifests: dict[Path, DeliveryManifest]) -> None:
    assert sum(file.bytes for manifest in manifests.values() for file in manifest.files) < 1_500_000


def test_an_archive_under_other_terms_is_refused() -> None:
    known = CONFIG.archives["fortunes-zh"]
    archive = known.model_copy(
        update={"evidence": Evidence(member=known.evidence.member, says="License: MIT")}
    )
    fetched = fetch("fortunes-zh", archive, ARCHIVES, lambda line: None, CONFIG.download_seconds)
    with pytest.raises(ArchiveError, match="does not say 'License: MIT'"):
        read_members(fetched, archive)


def test_without_apt_the_error_says_where_to_put_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ArchiveError, match=r"put it into .*/deb/fortunes-zh"):
        fetch("fortunes-zh", CONFIG.archives["fortunes-zh"], tmp_path, lambda line: None, 5)

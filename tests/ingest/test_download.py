"""Downloads from a real server that misbehaves in every way that servers do."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.delivery import read_manifest, verify
from phoenix_assets.ingest.download import Downloaded, download
from phoenix_assets.ingest.download_config import CrawlSource, Downloads
from phoenix_assets.ingest.erasure import Refusals
from phoenix_assets.ingest.http_source import HttpSource
from phoenix_assets.ingest.landing import Inspector, Standing
from phoenix_assets.ingest.landing_places import LocalPlace
from phoenix_assets.ingest.segment import Staging
from phoenix_assets.sources import load_sources

DELIVERY = "CC-MAIN-2024-22-000"
TODAY = date(2024, 6, 5)
IMPATIENT = {"read_seconds": 1.0}  # of a server that hangs
LARGE = 1_500_000  # more than what fits into the buffers between server and disk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "landing" / "cc" / DELIVERY


@pytest.fixture
def fetch(folder: Path, crawl_source) -> Callable[..., Downloaded]:
    def run(
        settings: CrawlSource | None = None,
        admit: Callable[[int, Path], AbstractContextManager[object]] = lambda *_: nullcontext(),
        report: Callable[[str], object] = lambda _: None,
    ) -> Downloaded:
        return download(settings or crawl_source(), folder, admit=admit, today=TODAY, report=report)

    return run


def staging_of(folder: Path) -> Staging:
    return Staging(folder.with_name(f".{DELIVERY}.download"))


def arrivals(folder: Path) -> list[tuple[str, Standing]]:
    """Return what stands in the landing folder of the crawl, as the landing sensor sees it."""
    place = LocalPlace(folder.parents[1])
    inspector = Inspector(load_sources(), Refusals({}, {}), settle_seconds=0, now=time.time())
    found = [inspector.inspect(place, source, delivery) for source, delivery in place.names()]
    return [(arrival.delivery, arrival.standing) for arrival in found]


def assert_whole(folder: Path, crawl, paths: list[str]) -> None:
    manifest = read_manifest(folder)
    assert verify(folder, manifest) == []
    assert [file.path for file in manifest.files] == [Path(path).name for path in paths]
    for path in paths:
        assert (folder / Path(path).name).read_bytes() == crawl.files[path]


def test_a_delivery_lands_whole_with_its_manifest_and_where_it_came_from(crawl, fetch, folder: Path) -> None:
    crawl.publish(4)
    found = fetch()
    assert_whole(folder, crawl, crawl.paths[:3])
    assert arrivals(folder) == [(DELIVERY, Standing.READY)]
    assert [segment.url for segment in found.segments] == [crawl.url + path for path in crawl.paths[:3]]
    assert [segment.sha256 for segment in found.segments] == [
        hashlib.sha256(crawl.files[path]).hexdigest() for path in crawl.paths[:3]
    ]
    assert found.counts == {
        "segments": 3,
        "bytes": sum(len(crawl.files[path]) for path in crawl.paths[:3]),
        "received_bytes": sum(len(crawl.files[path]) for path in crawl.paths[:3]),
        "attempts": 3,
        "resumed": 0,
        "failed_attempts": 0,
    }
    assert sorted(path.name for path in folder.parent.iterdir()) == [DELIVERY]  # nothing is left behind


def test_the_last_delivery_holds_the_rest(crawl, crawl_source, folder: Path) -> None:
    crawl.publish(4)
    last = folder.with_name("CC-MAIN-2024-22-001")
    download(crawl_source(), last, admit=lambda *_: nullcontext(), today=TODAY, report=print)
    assert_whole(last, crawl, crawl.paths[3:])


def test_a_delivery_beyond_the_listing_is_refused(crawl, crawl_source, folder: Path) -> None:
    crawl.publish(1)
    with pytest.raises(DownloadError, match="gives only 1 deliveries"):
        download(
            crawl_source(), folder.with_name("CC-MAIN-2024-22-001"), admit=lambda *_: nullcontext(), today=TODAY,
            report=print,
        )  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    ["status 503 0", "status 429 0", "status 500 0", "cut", "reset", "hang", "wrong length", "wrong bytes"],
)
def test_one_fault_costs_one_attempt_of_one_file(
    crawl, fetch, crawl_source, folder: Path, fault: str
) -> None:
    crawl.publish(3)
    crawl.faults[crawl.paths[1]] = [fault]
    found = fetch(crawl_source(timeouts=IMPATIENT))
    assert_whole(folder, crawl, crawl.paths)
    assert [segment.attempts for segment in found.segments] == [1, 2, 1]


@pytest.mark.parametrize("fault", ["cut", "hang"])
def test_what_has_arrived_is_not_fetched_again(crawl, fetch, crawl_source, folder: Path, fault: str) -> None:
    crawl.publish(1, filler=LARGE)
    (path,) = crawl.paths
    crawl.faults[path] = [fault]
    found = fetch(crawl_source(timeouts=IMPATIENT))
    assert_whole(folder, crawl, [path])
    size = len(crawl.files[path])
    assert crawl.gets(path) == ["", f"bytes={size // 2}-"]
    assert (found.counts["resumed"], found.received_bytes) == (1, size)


def test_a_file_that_takes_too_long_is_gone_on_with_by_the_next_attempt(
    crawl, fetch, crawl_source, folder: Path
) -> None:
    crawl.publish(1, filler=LARGE)
    found = fetch(crawl_source(timeouts={"attempt_seconds": 1e-6}, retries={"attempts": 1000}))
    assert_whole(folder, crawl, crawl.paths)
    assert found.counts["attempts"] == found.counts["resumed"] + 1 > 5
    assert found.received_bytes == len(crawl.files[crawl.paths[0]])


def test_a_server_without_ranges_is_asked_for_the_whole_file_again(crawl, fetch, folder: Path) -> None:
    crawl.publish(1, filler=LARGE)
    (path,) = crawl.paths
    crawl.faults[path] = ["cut", "no range"]
    found = fetch()
    assert_whole(folder, crawl, [path])
    assert (found.counts["attempts"], found.counts["resumed"]) == (2, 0)


def test_without_a_version_to_compare_bytes_are_never_joined(crawl, fetch, folder: Path) -> None:
    crawl.etags = False
    crawl.publish(1, filler=LARGE)
    (path,) = crawl.paths
    crawl.faults[path] = ["cut"]
    fetch()
    assert_whole(folder, crawl, [path])
    assert crawl.gets(path) == ["", ""]


def test_a_file_that_changes_on_the_server_meanwhile_is_not_taken(crawl, fetch, folder: Path) -> None:
    crawl.publish(1)
    crawl.faults[crawl.paths[0]] = ["other version"]
    with pytest.raises(DownloadError, match="changed on the server during the download"):
        fetch()
    assert not folder.exists()


def test_bytes_of_two_versions_are_not_joined_by_the_next_run(crawl, fetch, folder: Path) -> None:
    crawl.publish(1, filler=LARGE)
    (path,) = crawl.paths
    crawl.faults[path] = ["cut", "gone"]
    with pytest.raises(DownloadError, match="404"):
        fetch()
    assert staging_of(folder).part(Path(path).name).stat().st_size > 0
    crawl.files[path] = bytes(reversed(crawl.files[path]))
    crawl.publish(1, filler=LARGE + 1)
    fetch()
    assert_whole(folder, crawl, [path])
    assert crawl.gets(path)[-1] == ""


def test_all_other_files_are_kept_and_the_next_run_fetches_only_what_is_missing(
    crawl, fetch, folder: Path
) -> None:
    crawl.publish(3)
    bad = crawl.paths[1]
    crawl.faults[bad] = ["wrong bytes"] * 3
    with pytest.raises(DownloadError) as failed:
        fetch()
    assert "1 of 3 files of CC-MAIN-2024-22-000 failed" in str(failed.value)
    assert f"{Path(bad).name}: " in str(failed.value)
    assert "damaged" in str(failed.value) and "given up after 3 attempts" in str(failed.value)
    assert arrivals(folder) == []  # no half delivery for the landing sensor
    crawl.requests.clear()
    found = fetch()
    assert_whole(folder, crawl, crawl.paths)
    asked = {path for _, path, _ in crawl.requests if path.startswith("crawl-data/CC-MAIN-2024-22/segments")}
    assert asked == {bad}
    assert [segment.attempts for segment in found.segments] == [1, 4, 1]


def test_a_file_that_is_not_there_fails_at_once_and_alone(crawl, fetch) -> None:
    crawl.publish(3)
    gone = crawl.paths[0]
    del crawl.files[gone]
    crawl.list_paths([gone, *crawl.paths])
    with pytest.raises(DownloadError, match=f"(?s)1 of 3 files.*{Path(gone).name}: .*404"):
        fetch()
    assert [method for method, path, _ in crawl.requests if path == gone] == ["HEAD"]
    assert all(len(crawl.gets(path)) == 1 for path in crawl.paths)


def test_a_server_that_asks_for_a_long_pause_is_left_alone(crawl, fetch) -> None:
    crawl.publish(1)
    crawl.faults[crawl.paths[0]] = ["status 503 86400"]
    with pytest.raises(DownloadError, match=r"503.*asks to wait 86400 s"):
        fetch()
    assert len(crawl.gets(crawl.paths[0])) == 1


def test_a_checksum_from_the_server_is_compared(crawl, fetch, crawl_source, folder: Path) -> None:
    crawl.publish(1)
    settings = crawl_source(checksums="crawl-data/{snapshot}/warc.sha256")
    crawl.files["crawl-data/CC-MAIN-2024-22/warc.sha256"] = f"{'0' * 64}  {crawl.paths[0]}\n".encode()
    with pytest.raises(DownloadError, match="it should have 0000"):
        fetch(settings)
    digest = hashlib.sha256(crawl.files[crawl.paths[0]]).hexdigest()
    crawl.files["crawl-data/CC-MAIN-2024-22/warc.sha256"] = f"{digest}  {crawl.paths[0]}\n".encode()
    fetch(settings)
    assert_whole(folder, crawl, crawl.paths)


def test_an_evil_listing_is_refused_before_anything_is_fetched(crawl, fetch, tmp_path: Path) -> None:
    crawl.publish(1)
    crawl.list_paths(["crawl-data/CC-MAIN-2024-22/../../../../evil.warc.gz"])
    with pytest.raises(DownloadError, match="line 1 of the listing"):
        fetch()
    assert len(crawl.requests) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/{path}", "https://example.org/{path}", "file:///{path}"]
)
def test_a_redirect_to_another_host_is_refused(crawl, fetch, target: str) -> None:
    crawl.publish(1)
    path = crawl.paths[0]
    crawl.faults[path] = ["redirect " + target.format(port=crawl.port, path=path)]
    with pytest.raises(DownloadError, match="which is not allowed"):
        fetch()


def test_a_redirect_to_a_host_that_is_allowed_is_followed(crawl, fetch, crawl_source, folder: Path) -> None:
    crawl.publish(1)
    path = crawl.paths[0]
    crawl.faults[path] = [f"redirect http://localhost:{crawl.port}/{path}"]
    fetch(crawl_source(redirect_hosts=[f"localhost:{crawl.port}"]))
    assert_whole(folder, crawl, [path])


def test_redirects_without_end_are_refused(crawl, fetch) -> None:
    crawl.publish(1)
    crawl.faults[crawl.paths[0]] = [f"redirect /{crawl.paths[0]}"] * 10
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        fetch()


@pytest.mark.parametrize(
    "url",
    ["http://example.org/", "ftp://127.0.0.1/", "https://example.org", "https://u:p@example.org/", "/data/"],
)
def test_a_base_url_that_is_not_safe_is_refused(crawl_source, url: str) -> None:
    with pytest.raises(ValidationError):
        crawl_source(base_url=url)


def test_plain_http_is_a_matter_of_configuration(crawl_source) -> None:
    crawl_source(base_url="http://mirror.example/", plain_http_hosts=["mirror.example"])


def test_the_whole_size_is_admitted_before_the_first_byte(crawl, fetch, folder: Path) -> None:
    crawl.publish(3)
    asked: list[int] = []

    @contextmanager
    def refuse(whole: int, place: Path) -> Iterator[None]:
        asked.append(whole)
        assert place == staging_of(folder).root
        raise DownloadError("no room")
        yield

    with pytest.raises(DownloadError, match="no room"):
        fetch(admit=refuse)
    assert asked == [sum(len(crawl.files[path]) for path in crawl.paths)]
    assert all(crawl.gets(path) == [] for path in crawl.paths)
    assert not folder.parent.exists()


def test_a_delivery_that_has_landed_is_recognised_and_not_fetched_again(crawl, fetch, folder: Path) -> None:
    crawl.publish(3)
    first = fetch()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    crawl.requests.clear()
    again = fetch()
    assert (again.segments, again.manifest) == (first.segments, first.manifest)
    assert [path for _, path, _ in crawl.requests] == ["crawl-data/CC-MAIN-2024-22/warc.paths.gz"]
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_another_delivery_of_that_name_is_left_in_peace(crawl, fetch, folder: Path) -> None:
    crawl.publish(3)
    folder.mkdir(parents=True)
    (folder / "delivery.yaml").write_text("of a vendor")
    with pytest.raises(DownloadError, match="holds other files than the listing gives"):
        fetch()
    assert (folder / "delivery.yaml").read_text() == "of a vendor"


def test_equal_files_give_an_equal_manifest_however_they_arrived(
    crawl, fetch, folder: Path, tmp_path: Path
) -> None:
    crawl.publish(3, filler=50_000)
    smooth = fetch().manifest
    folder.rename(tmp_path / "first")
    crawl.faults = {path: ["cut", "reset"] for path in crawl.paths}
    assert fetch().manifest == smooth
    assert (folder / "delivery.yaml").read_bytes() == (tmp_path / "first" / "delivery.yaml").read_bytes()


def test_progress_is_told_while_a_file_is_on_its_way(crawl, fetch, crawl_source) -> None:
    crawl.publish(1)
    crawl.faults[crawl.paths[0]] = ["hang"]
    lines: list[str] = []
    fetch(crawl_source(progress_seconds=0.05, timeouts=IMPATIENT), report=lines.append)
    assert lines[0].startswith("0 of 1 files done, 0.00 GB received, ")


def test_an_interrupted_run_ends_and_keeps_what_it_has(crawl, fetch, crawl_source, folder: Path) -> None:
    crawl.publish(3)
    crawl.faults[crawl.paths[0]] = ["status 503 600"]  # asks to wait; the interruption ends the wait

    def interrupt(line: str) -> None:
        if line.startswith("2 of 3 files"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(crawl_source(progress_seconds=0.02), report=interrupt)
    finished = [path for path in crawl.paths if staging_of(folder).finished(Path(path).name)]
    assert finished == crawl.paths[1:]


_PROGRAM = """
import json, sys
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from phoenix_assets.ingest.download import download
from phoenix_assets.ingest.download_config import CrawlSource
settings = CrawlSource.model_validate(json.loads(sys.argv[1]))
download(settings, Path(sys.argv[2]), admit=lambda *_: nullcontext(), today=date(2024, 6, 5), report=print)
"""


def test_after_a_kill_in_the_middle_of_a_file_the_next_run_goes_on_there(
    crawl, fetch, crawl_source, folder: Path
) -> None:
    crawl.publish(2, filler=LARGE)
    done, torn = crawl.paths
    crawl.faults[torn] = ["hang"]
    patient = crawl_source().model_dump_json()
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, patient, str(folder)])
    part, tick = staging_of(folder).part(Path(torn).name), threading.Event()
    while not (
        crawl.hanging.is_set()
        and part.stat().st_size > 2**18
        and staging_of(folder).finished(Path(done).name)
        and process.poll() is None
    ):
        assert process.poll() is None
        tick.wait(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    arrived = part.stat().st_size
    assert arrivals(folder) == []
    crawl.released.set()
    fetch()
    assert_whole(folder, crawl, [done, torn])
    assert crawl.gets(torn) == ["", f"bytes={arrived}-"]
    assert len(crawl.gets(done)) == 1


def test_many_threads_of_one_source_share_its_connections(crawl, crawl_source) -> None:
    crawl.publish(1)
    with HttpSource(crawl_source(connections=1)) as source:
        assert source.look(crawl.paths[0]).bytes == len(crawl.files[crawl.paths[0]])
        assert source.read(crawl.paths[0], 10**6) == crawl.files[crawl.paths[0]]
        with pytest.raises(DownloadError, match="larger than 10 bytes"):
            source.read(crawl.paths[0], 10)


def test_the_shipped_configuration_is_read_back_equal(crawl_source) -> None:
    settings = crawl_source()
    assert (
        Downloads.model_validate({"sources": {"cc": json.loads(settings.model_dump_json())}}).sources["cc"]
        == settings
    )

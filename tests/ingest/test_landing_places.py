"""What landing places say of deliveries, and what is judged of it: the same for folders here and anywhere else."""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from phoenix_assets.ingest.delivery import DeliveredFile
from phoenix_assets.ingest.erasure import Refusals
from phoenix_assets.ingest.landing import Arrival, Inspector, Standing
from phoenix_assets.ingest.landing_places import (
    LocalPlace,
    Place,
    RemoteConfig,
    RemotePlace,
    mark_origin,
    origin_of,
)
from phoenix_assets.schema import RejectReason
from phoenix_assets.sources import Source

SOURCES = {"book": Source(description="Books.", kind="book", formats=("txt",))}
NOW = 1_800_000_000.0
SETTLE = 60.0
TEXT = b"It was a bright cold day in April."

Write = Callable[[str, bytes], None]


def manifest(delivery: str, *, size: int = len(TEXT), path: str = "a.txt") -> bytes:
    sha256 = hashlib.sha256(TEXT).hexdigest()
    return (
        f"source: book\ndelivery: {delivery!r}\nvendor: us\nlicence: {{id: CC0-1.0, allows: [pretraining]}}\n"
        f"received: 2024-06-01\nformat: txt\nfiles:\n- {{path: {path}, bytes: {size}, sha256: {sha256}}}\n"
    ).encode()


def inspector(now: float = NOW, **changes: object) -> Inspector:
    settings = {"sources": SOURCES, "refusals": Refusals({}, {}), "settle_seconds": SETTLE, "now": now}
    return Inspector(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.fixture(params=["local", "file", "dir", "memory"])
def place_and_write(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Write]]:
    """A place of each kind, and how a vendor writes a file into it."""
    if request.param == "local":
        place: Place = LocalPlace(tmp_path)
    elif request.param == "file":
        place = RemotePlace(RemoteConfig(url=tmp_path.as_uri()))
    elif request.param == "dir":
        place = RemotePlace(RemoteConfig(url="dir::file:///", options={"dir": {"path": str(tmp_path)}}))
    else:
        place = RemotePlace(RemoteConfig(url=f"memory://{uuid.uuid4().hex}/landing"))

    def write(path: str, content: bytes) -> None:
        if request.param == "memory":
            fsspec.filesystem("memory").pipe_file(f"{place.url.removeprefix('memory:/')}/{path}", content)
        else:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)

    yield place, write


def test_a_delivery_is_listed_and_judged_alike_wherever_it_lies(place_and_write: tuple[Place, Write]) -> None:
    place, write = place_and_write
    assert place.names() == []
    write("book/d1/a.txt", TEXT)
    assert place.names() == [("book", "d1")]
    waiting = inspector(NOW).inspect(place, "book", "d1")
    write("book/d1/delivery.yaml", manifest("d1"))
    found = inspector().inspect(place, "book", "d1")
    assert found.standing is Standing.READY
    assert found.manifest == hashlib.sha256(manifest("d1")).hexdigest()
    assert found.fingerprint not in ("", waiting.fingerprint)
    assert inspector().inspect(place, "book", "d1") == found


def test_another_content_is_another_fingerprint_wherever_it_lies(
    place_and_write: tuple[Place, Write],
) -> None:
    place, write = place_and_write
    write("book/d1/delivery.yaml", manifest("d1"))
    write("book/d1/deep/er/a.txt", TEXT)
    before = inspector().inspect(place, "book", "d1").fingerprint
    write("book/d1/deep/er/a.txt", TEXT + b".")
    assert inspector().inspect(place, "book", "d1").fingerprint != before


def test_folders_that_are_still_being_built_are_not_there(place_and_write: tuple[Place, Write]) -> None:
    place, write = place_and_write
    write("book/.d1/a.txt", TEXT)
    write(".hidden/d2/a.txt", TEXT)
    write("readme.txt", TEXT)
    assert place.names() == []


def test_a_delivery_is_fetched_with_its_folders_and_names(
    place_and_write: tuple[Place, Write], tmp_path: Path
) -> None:
    place, write = place_and_write
    if not isinstance(place, RemotePlace):
        return
    names = ["a.txt", "deep/er/b.txt", "with space.txt", "[1]*.txt", "书.txt"]
    for number, name in enumerate(names):
        write(f"book/d1/{name}", TEXT * number)
    files = [DeliveredFile(path=name, bytes=0, sha256="0" * 64) for name in [*names, "not there.txt"]]
    target = tmp_path / "fetched"
    assert place.fetch("book", "d1", files, target) == len(TEXT) * 10
    fetched = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*.txt")}
    assert fetched == {name: TEXT * number for number, name in enumerate(names)}


def test_a_place_out_of_reach_is_an_oserror_that_names_it(tmp_path: Path) -> None:
    for url in ("nosuchprotocol://bucket/landing", "dir::nothing"):
        with pytest.raises(OSError, match=url):
            RemotePlace(RemoteConfig(url=url)).names()


def local(tmp_path: Path, *, path: str = "a.txt", size: int = len(TEXT), content: bytes = TEXT) -> Path:
    folder = tmp_path / "book" / "d1"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(content)
    (folder / "delivery.yaml").write_bytes(manifest("d1", path=path, size=size))
    return folder


def set_times(folder: Path, seconds: float) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def judged(tmp_path: Path, now: float, before: Arrival | None = None) -> Arrival:
    return inspector(now).inspect(LocalPlace(tmp_path), "book", "d1", before)


def test_a_half_copied_file_is_waited_for_until_nobody_has_touched_it_for_a_while(tmp_path: Path) -> None:
    folder = local(tmp_path, content=TEXT[:5])
    set_times(folder, NOW)
    first = judged(tmp_path, NOW)
    assert (first.standing, first.detail) == (Standing.WAITS, "a.txt: not complete yet")
    assert judged(tmp_path, NOW + SETTLE - 1, first).standing is Standing.WAITS
    # It is taken for what it has; the file will be in quarantine.
    assert judged(tmp_path, NOW + SETTLE, first).standing is Standing.READY


def test_files_dated_ahead_are_waited_for_by_our_own_clock(tmp_path: Path) -> None:
    folder = local(tmp_path, content=TEXT[:5])
    set_times(folder, NOW + 10 * 365 * 86400)
    first = judged(tmp_path, NOW)
    assert first.standing is Standing.WAITS
    assert judged(tmp_path, NOW + SETTLE - 1, first).standing is Standing.WAITS
    assert judged(tmp_path, NOW + SETTLE, first).standing is Standing.READY


def test_files_dated_ahead_that_are_complete_are_taken_at_once(tmp_path: Path) -> None:
    set_times(local(tmp_path), NOW + 10 * 365 * 86400)
    assert judged(tmp_path, NOW).standing is Standing.READY


def test_a_delivery_that_goes_on_growing_goes_on_being_waited_for(tmp_path: Path) -> None:
    folder = local(tmp_path, content=TEXT[:5])
    found = None
    for step in range(5):
        (folder / "a.txt").write_bytes(TEXT[: 6 + step])
        set_times(folder, NOW + step * SETTLE)
        found = judged(tmp_path, NOW + step * SETTLE, found)
        assert found.standing is Standing.WAITS


@pytest.mark.parametrize("outside", ["file", "folder", "loop", "nothing"])
def test_a_link_that_leads_out_of_the_delivery_is_not_followed(tmp_path: Path, outside: str) -> None:
    folder = local(tmp_path)
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "many.txt").write_bytes(TEXT)
    targets = {"file": secret / "many.txt", "folder": secret, "loop": folder, "nothing": secret / "none"}
    (folder / "link").symlink_to(targets[outside])
    listed = {entry.path for entry in LocalPlace(tmp_path).entries("book", "d1")}
    assert listed == {"", "a.txt", "delivery.yaml", "link"}
    assert judged(tmp_path, NOW).standing is Standing.READY


def test_a_delivery_that_is_a_link_is_rejected(tmp_path: Path) -> None:
    elsewhere = local(tmp_path / "elsewhere")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "d1").symlink_to(elsewhere)
    found = judged(tmp_path, NOW)
    assert (found.standing, found.reason) == (Standing.REJECTED, RejectReason.PATH_ESCAPES)
    assert "deliver the folder itself" in found.detail


def test_a_folder_that_vanishes_during_the_look_is_waited_for_and_then_given_up(tmp_path: Path) -> None:
    first = judged(tmp_path, NOW)
    assert (first.standing, first.reason) == (Standing.WAITS, RejectReason.UNREADABLE)
    assert judged(tmp_path, NOW + SETTLE, first).standing is Standing.REJECTED


def test_what_was_said_stands_while_nothing_changes_and_is_judged_again_by_other_rules(
    tmp_path: Path,
) -> None:
    local(tmp_path)
    place = LocalPlace(tmp_path)
    unknown = inspector(sources={}).inspect(place, "book", "d1")
    assert unknown.reason is RejectReason.UNKNOWN_SOURCE
    assert inspector().inspect(place, "book", "d1", unknown) == unknown
    assert inspector().inspect(place, "book", "d1", unknown, stands=False).standing is Standing.READY
    assert inspector().rules != inspector(sources={}).rules
    assert inspector().rules != inspector(refusals=Refusals({("book", "d1"): "erased"}, {})).rules


def test_what_was_erased_is_rejected(tmp_path: Path) -> None:
    local(tmp_path)
    refusals = Refusals({("book", "d1"): "book/d1 was erased on 2024-06-01: withdrawn"}, {})
    found = inspector(refusals=refusals).inspect(LocalPlace(tmp_path), "book", "d1")
    assert (found.standing, found.reason) == (Standing.REJECTED, RejectReason.ERASED)


def test_a_name_that_a_local_delivery_has_is_not_taken_from_elsewhere(tmp_path: Path) -> None:
    local(tmp_path)
    elsewhere = RemotePlace(RemoteConfig(url=tmp_path.as_uri()))
    found = inspector(taken_names={("book", "d1")}).inspect(elsewhere, "book", "d1")
    assert (found.standing, found.reason) == (Standing.REJECTED, RejectReason.NAME_TAKEN)


def test_what_was_fetched_has_landed_elsewhere(tmp_path: Path) -> None:
    folder = local(tmp_path)
    mark_origin(folder, "s3://bucket/landing")
    assert origin_of(folder) == "s3://bucket/landing"
    assert LocalPlace(tmp_path).names() == []

"""A manifest says what was delivered; everything that is not so is told to the vendor."""

from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from phoenix_assets.ingest.config import Format
from phoenix_assets.ingest.delivery import (
    MANIFEST_NAME,
    DeliveredFile,
    DeliveryManifest,
    DeliveryRejected,
    Use,
    check_known,
    describe,
    read_manifest,
    verify,
    verify_file,
    write_manifest,
)
from phoenix_assets.schema import RejectReason

LICENCE = {"id": "CC-BY-SA-4.0", "expires": None, "allows": ["pretraining", "research"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wiki" / "zh-2024.06"
    (folder / "pages").mkdir(parents=True)
    (folder / "pages" / "a.txt").write_text("天下大势，分久必合。", "utf-8")
    (folder / "b.txt").write_text("plain", "utf-8")
    return folder


def manifest_of(folder: Path, **changes: object) -> DeliveryManifest:
    values = {
        "source": "wiki",
        "delivery": "zh-2024.06",
        "vendor": "Wikimedia 基金会",
        "licence": LICENCE,
        "received": "2024-06-02",
        "format": "txt",
        "files": [describe(folder, "pages/a.txt").model_dump(), describe(folder, "b.txt").model_dump()],
    }
    return DeliveryManifest.model_validate(values | changes)


def write_raw(folder: Path, **changes: object) -> None:
    values = manifest_of(folder).model_dump(mode="json") | changes
    (folder / MANIFEST_NAME).write_text(yaml.safe_dump(values), "utf-8")


def rejection(folder: Path) -> DeliveryRejected:
    with pytest.raises(DeliveryRejected) as caught:
        read_manifest(folder)
    return caught.value


def entry(path: str) -> dict[str, object]:
    return {"path": path, "bytes": 1, "sha256": "0" * 64}


def test_a_written_manifest_reads_back_equal(folder: Path) -> None:
    manifest = manifest_of(folder)
    write_manifest(folder, manifest)
    assert read_manifest(folder) == manifest
    assert verify(folder, manifest) == []


def test_equal_manifests_give_equal_bytes_and_leave_no_temporary_file(folder: Path) -> None:
    first = write_manifest(folder, manifest_of(folder)).read_bytes()
    second = write_manifest(folder, manifest_of(folder)).read_bytes()
    assert first == second
    assert sorted(path.name for path in folder.iterdir()) == ["b.txt", MANIFEST_NAME, "pages"]


def test_a_wrong_checksum_is_found(folder: Path) -> None:
    manifest = manifest_of(folder)
    (folder / "b.txt").write_text("plaim", "utf-8")
    problems = verify(folder, manifest)
    assert [(problem.reason, problem.file) for problem in problems] == [
        (RejectReason.WRONG_CHECKSUM, "b.txt")
    ]
    assert "SHA-256" in str(problems[0])


def test_a_wrong_size_is_found_before_the_checksum(folder: Path) -> None:
    manifest = manifest_of(folder)
    (folder / "b.txt").write_text("plain text", "utf-8")
    assert [problem.reason for problem in verify(folder, manifest)] == [RejectReason.WRONG_SIZE]


def test_a_missing_file_is_found_and_the_others_are_still_checked(folder: Path) -> None:
    manifest = manifest_of(folder)
    (folder / "pages" / "a.txt").unlink()
    (folder / "b.txt").unlink()
    assert [problem.file for problem in verify(folder, manifest)] == ["pages/a.txt", "b.txt"]
    assert {problem.reason for problem in verify(folder, manifest)} == {RejectReason.MISSING_FILE}


def test_a_folder_in_place_of_a_file_is_a_missing_file(folder: Path) -> None:
    with pytest.raises(DeliveryRejected) as caught:
        verify_file(folder, DeliveredFile.model_validate(entry("pages")))
    assert caught.value.reason is RejectReason.MISSING_FILE


def test_a_symbolic_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret", "utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(DeliveryRejected) as caught:
        verify_file(folder, describe(folder, "link.txt"))
    assert caught.value.reason is RejectReason.PATH_ESCAPES


def test_a_linked_folder_that_leads_out_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.txt").write_text("x", "utf-8")
    (folder / "inside").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeliveryRejected) as caught:
        verify_file(folder, describe(folder, "inside/x.txt"))
    assert caught.value.reason is RejectReason.PATH_ESCAPES


def test_a_link_within_the_folder_is_fine(folder: Path) -> None:
    (folder / "alias.txt").symlink_to(folder / "b.txt")
    verify_file(folder, describe(folder, "alias.txt"))


def test_a_manifest_that_is_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("source: wiki", "utf-8")
    (folder / MANIFEST_NAME).symlink_to(tmp_path / "m.yaml")
    assert rejection(folder).reason is RejectReason.PATH_ESCAPES


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "..", "..\\secret"])
def test_a_path_outside_the_folder_is_refused_by_name(folder: Path, path: str) -> None:
    write_raw(folder, files=[entry(path)])
    problem = rejection(folder)
    assert (problem.reason, problem.file) == (RejectReason.PATH_ESCAPES, path)


@pytest.mark.parametrize("path", ["a//b", "./a", "a/", "a\x07b", "a\\b", MANIFEST_NAME, ""])
def test_an_odd_path_is_a_bad_manifest(folder: Path, path: str) -> None:
    write_raw(folder, files=[entry(path)])
    assert rejection(folder).reason is RejectReason.BAD_MANIFEST


def test_a_file_listed_twice_is_refused(folder: Path) -> None:
    write_raw(folder, files=[entry("b.txt"), entry("b.txt")])
    problem = rejection(folder)
    assert problem.reason is RejectReason.BAD_MANIFEST
    assert "b.txt is listed twice" in str(problem)


def test_a_delivery_without_files_is_empty(folder: Path) -> None:
    write_raw(folder, files=[])
    problems = verify(folder, read_manifest(folder))
    assert [problem.reason for problem in problems] == [RejectReason.EMPTY_DELIVERY]


def test_a_delivery_of_empty_files_is_empty(folder: Path) -> None:
    (folder / "b.txt").write_bytes(b"")
    manifest = manifest_of(folder, files=[describe(folder, "b.txt")])
    assert [problem.reason for problem in verify(folder, manifest)] == [RejectReason.EMPTY_DELIVERY]


def test_no_manifest_is_a_missing_file(folder: Path) -> None:
    assert rejection(folder).reason is RejectReason.MISSING_FILE


def test_a_manifest_in_the_wrong_folder_is_refused(folder: Path) -> None:
    write_raw(folder, delivery="zh-2024.07")
    problem = rejection(folder)
    assert problem.reason is RejectReason.BAD_MANIFEST
    assert "wiki/zh-2024.07" in str(problem)


@pytest.mark.parametrize("name", [".hidden", "a/b", "a b", "", "中文", "x" * 101, "..", "a\n"])
def test_an_unsafe_name_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ValidationError):
        manifest_of(folder, source=name)


def test_an_alias_bomb_is_refused_without_being_expanded(folder: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{n}: &{n} [{', '.join([f'*{chr(ord(n) - 1)}'] * 9)}]" for n in "bcdefghi"]
    (folder / MANIFEST_NAME).write_text("\n".join(lines), "utf-8")
    problem = rejection(folder)
    assert problem.reason is RejectReason.BAD_MANIFEST
    assert "alias" in str(problem)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"source: !!python/object/apply:os.system [ls]",
        b"\xff\xfe\x00",
        b"a: b: c",
        b"",
        b"just text",
        b"received: 2024-99-99",
        b"- 1\n- 2\n",
    ],
)
def test_a_malformed_manifest_is_rejected_not_raised(folder: Path, content: bytes) -> None:
    (folder / MANIFEST_NAME).write_bytes(content)
    assert rejection(folder).reason is RejectReason.BAD_MANIFEST


def test_a_manifest_beyond_the_size_limit_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phoenix_assets.ingest.delivery.MAX_MANIFEST_BYTES", 100)
    write_raw(folder)
    assert "split the delivery" in str(rejection(folder))


@pytest.mark.parametrize(
    "changes",
    [
        {"licence": {**LICENCE, "allows": []}},
        {"licence": {**LICENCE, "allows": ["world domination"]}},
        {"licence": {**LICENCE, "id": "see contract"}},
        {"format": ""},
        {"files": [{"path": "a", "bytes": -1, "sha256": "0" * 64}]},
        {"files": [{"path": "a", "bytes": 1, "sha256": "0" * 63}]},
        {"colour": "red"},
    ],
)
def test_wrong_values_are_a_bad_manifest(folder: Path, changes: dict[str, object]) -> None:
    write_raw(folder, **changes)
    assert rejection(folder).reason is RejectReason.BAD_MANIFEST


def test_a_manifest_may_say_what_the_records_fields_are_called(folder: Path) -> None:
    fields = {"text": "body.main", "meta": ["score"], "layout": "article"}
    write_raw(folder, fields=fields)
    told = read_manifest(folder).fields
    assert told is not None
    assert told.model_dump(mode="json") == fields
    write_manifest(folder, read_manifest(folder))
    assert read_manifest(folder).fields == told


@pytest.mark.parametrize(
    "fields", [{"tittle": "a"}, {"text": "a..b"}, {"text": ["a"]}, {"meta": "a"}, ["text"]]
)
def test_a_wrong_field_map_is_a_bad_manifest(fields: object, folder: Path) -> None:
    write_raw(folder, fields=fields)
    assert rejection(folder).reason is RejectReason.BAD_MANIFEST
    assert "fields" in str(rejection(folder))


def test_an_unknown_source_and_an_unknown_format_have_their_own_reasons(folder: Path) -> None:
    manifest = manifest_of(folder, format="lrf")
    with pytest.raises(DeliveryRejected) as source:
        check_known(manifest, {"book"}, set(Format))
    with pytest.raises(DeliveryRejected) as unread:
        check_known(manifest, {"wiki"}, set(Format))
    assert (source.value.reason, unread.value.reason) == (
        RejectReason.UNKNOWN_SOURCE,
        RejectReason.UNKNOWN_FORMAT,
    )


def test_a_licence_permits_its_uses_up_to_its_last_day(folder: Path) -> None:
    licence = manifest_of(folder, licence={**LICENCE, "expires": "2025-01-31"}).licence
    assert licence.permits(Use.PRETRAINING, date(2025, 1, 31))
    assert not licence.permits(Use.PRETRAINING, date(2025, 2, 1))
    assert not licence.permits(Use.EVALUATION, date(2025, 1, 1))


@given(st.text(max_size=30))
def test_an_accepted_path_stays_below_its_folder(path: str) -> None:
    try:
        accepted = DeliveredFile.model_validate(entry(path)).path
    except ValidationError:
        return
    base = Path("/deliveries/x")
    assert (base / accepted).resolve().is_relative_to(base)
    assert (base / accepted) != base

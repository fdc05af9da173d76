"""Repositories become one record a source file."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

FILES = {
    "repo/src/a.py": b"print('hello')\n",
    "repo/Makefile": b"all:\n\techo\n",
    "repo/README.md": "# 说明\n".encode(),
    "repo/logo.png": b"\x89PNG\r\n",
    "repo/empty/__init__.py": b"",
    "repo/data.bin": b"\x00\x01",
}


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def read(path: Path, limits: ReaderLimits) -> list[Record | Reject]:
    return list(read_file(path, "code", limits))


def reasons(results: list[Record | Reject]) -> dict[str, str]:
    return {r.locator: "record" if isinstance(r, Record) else str(r.reason) for r in results}


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_source_files_are_read_and_others_left_out(kind: str, tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / f"r.{kind}"
    if kind == "zip":
        write_zip(path, FILES)
    else:
        write_tar(path, FILES, "w:" + kind.removeprefix("tar").removeprefix("."))
    results = read(path, limits)
    assert [(r.title, r.meta["language"]) for r in results if isinstance(r, Record)] == [
        ("repo/Makefile", "Makefile"),
        ("repo/README.md", "Markdown"),
        ("repo/src/a.py", "Python"),
    ]
    assert len(results) == 3


def test_a_plain_source_file_is_one_record(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "a.rs"
    path.write_bytes(b"fn main() {}\r\n")
    (record,) = read(path, limits)
    assert isinstance(record, Record)
    assert (record.text, record.meta["language"]) == ("fn main() {}\n", "Rust")


def test_gb18030_source_is_decoded(tmp_path: Path, limits: ReaderLimits) -> None:
    source = "// 这是一个很旧的文件，注释是中文的，编码是国标。\nint main(void) { return 0; }\n"
    (record,) = read(write_tar(tmp_path / "r.tar.gz", {"a.c": source.encode("gb18030")}), limits)
    assert isinstance(record, Record)
    assert record.text == source


def test_binaries_and_large_files_with_source_names_are_quarantined(
    tmp_path: Path, limits_with: Callable[..., ReaderLimits]
) -> None:
    files = {"a.m": b"\x00\x01\x02" * 9, "b.sql": b"x" * 2000, "c.py": b"x = 1\n", "d.py": b" \n"}
    limits = limits_with(max_member_bytes=1000)
    for path in (write_tar(tmp_path / "r.tar.gz", files), write_zip(tmp_path / "r.zip", files)):
        found = reasons(read(path, limits))
        assert found == {
            "a.m": "invalid_encoding",
            "b.sql": "too_large",
            "c.py": "record",
            "d.py": "empty_text",
        }


def test_member_names_that_lead_outside_are_refused(tmp_path: Path, limits: ReaderLimits) -> None:
    files = {"../../evil.py": b"x", "/abs.py": b"x", "ok.py": b"x = 1"}
    expected = {"../../evil.py": "path_escapes", "/abs.py": "path_escapes", "ok.py": "record"}
    assert reasons(read(write_tar(tmp_path / "r.tar", files, "w:"), limits)) == expected
    assert reasons(read(write_zip(tmp_path / "r.zip", files), limits)) == expected


def test_links_are_quarantined(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "r.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("passwd.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert reasons(read(path, limits)) == {"passwd.py": "link"}
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as packed:
        info = zipfile.ZipInfo("passwd.py")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    assert reasons(read(tmp_path / "r.zip", limits)) == {"passwd.py": "link"}


def test_a_compressed_bomb_is_refused(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_tar(tmp_path / "r.tar.bz2", {"a.py": bytes(30_000_000)}, "w:bz2")
    assert reasons(read(path, limits)) == {"": "bomb"}


def test_an_endless_header_is_refused(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "r.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("x" * 3_000_000 + ".py"))
    assert reasons(read(path, limits)) == {"": "bomb"}


def test_a_truncated_archive_gives_the_files_before_its_end(tmp_path: Path, limits: ReaderLimits) -> None:
    files = {"a.py": b"x = 1\n", "b.py": bytes(range(33, 120)) * 100}
    plain = write_tar(tmp_path / "r.tar", files, "w:")
    plain.write_bytes(plain.read_bytes()[:3000])
    assert reasons(read(plain, limits)) == {"a.py": "record", "": "truncated"}
    packed = write_tar(tmp_path / "r.tar.gz", files)
    packed.write_bytes(packed.read_bytes()[:-30])
    assert reasons(read(packed, limits))[""] == "truncated"


def test_too_many_members_are_a_bomb(tmp_path: Path, limits_with: Callable[..., ReaderLimits]) -> None:
    files = {f"{number}.py": b"x" for number in range(5)}
    assert reasons(read(write_tar(tmp_path / "r.tar", files, "w:"), limits_with(max_members=3)))[""] == "bomb"


def test_an_encrypted_member_is_quarantined(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_zip(tmp_path / "r.zip", {"a.py": b"x = 1"})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    assert reasons(read(path, limits)) == {"a.py": "encrypted"}


def test_a_path_that_an_archive_holds_twice_gives_two_locators(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write_tar(tmp_path / "r.tar", {"a.py": b"x = 1\n"}, "w:")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("a.py")
        info.size = 6
        archive.addfile(info, io.BytesIO(b"x = 2\n"))
    assert list(reasons(read(path, limits))) == ["a.py", "a.py#2"]


def licence_text(package: str) -> bytes:
    return next(path for path in distribution(package).files or [] if "LICENSE" in path.name).read_binary()


REPOSITORY = {
    "app-main/app/main.py": b"from app import model\n",
    "app-main/app/model.py": b"# SPDX-License-Identifier: MIT\nfrom app import rates\n",
    "app-main/app/rates.py": b"RATE = 1\n",
    "app-main/app/__init__.py": b"",
    "app-main/README.md": b"# App\n",
    "app-main/LICENSE": licence_text("click"),
}


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_repository_comes_in_dependency_order_with_its_licences(
    kind: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    write = write_zip if kind == "zip" else write_tar
    results = read(write(tmp_path / f"app.{kind}", REPOSITORY), limits)
    assert [
        (r.meta["position"], r.meta["path"], r.meta["licence"]) for r in results if isinstance(r, Record)
    ] == [
        (0, "README.md", "BSD-3-Clause"),
        (1, "app/rates.py", "BSD-3-Clause"),
        (2, "app/model.py", "MIT"),
        (3, "app/main.py", "BSD-3-Clause"),
    ]
    assert {r.meta["repository"] for r in results if isinstance(r, Record)} == {"app-main"}
    assert len(results) == 4


def test_the_order_does_not_depend_on_the_archives(tmp_path: Path, limits: ReaderLimits) -> None:
    forth = read(write_tar(tmp_path / "a.tar", REPOSITORY, "w:"), limits)
    back = read(write_tar(tmp_path / "b.tar", dict(reversed(REPOSITORY.items())), "w:"), limits)
    assert forth == back


def test_a_large_repository_waits_on_disk(tmp_path: Path, limits_with: Callable[..., ReaderLimits]) -> None:
    path = write_tar(tmp_path / "a.tar.gz", REPOSITORY)
    code = limits_with().code.model_dump()
    assert read(path, limits_with(code={**code, "memory_bytes": 1})) == read(path, limits_with())


def test_an_archive_without_a_top_folder_is_called_by_its_name(tmp_path: Path, limits: ReaderLimits) -> None:
    (record, _) = read(
        write_tar(tmp_path / "tool.tar.gz", {"a.py": b"x = 1\n", "lib/b.py": b"y = 2\n"}), limits
    )
    assert isinstance(record, Record)
    assert (record.meta["repository"], record.meta["path"]) == ("tool", "a.py")


NOBODYS: dict[str, tuple[bytes, str]] = {
    "r/node_modules/left-pad/index.js": (b"module.exports = 1\n", "vendored"),
    "r/src/Third_Party/zlib/inflate.c": (b"int main;\n", "vendored"),
    "r/web/jquery.min.js": (b"var a = 1;\n", "minified"),
    "r/web/bundle.js": (b"var a=1;" * 200, "minified"),
    "r/api/user_pb2.py": (b"x = 1\n", "generated"),
    "r/package-lock.json": (b"{}", "generated"),
    "r/Cargo.lock": (b"version = 3\n", "generated"),
    "r/zz_deepcopy.go": (b"// Code generated by controller-gen. DO NOT EDIT.\n\npackage v1\n", "generated"),
    "r/schema.ts": (b"/* eslint-disable */\n// @generated by protobuf-ts\nexport {}\n", "generated"),
    "r/fast.c": (b"/* Generated by Cython 3.0.11 */\n", "generated"),
    "r/deps/inner.tar.gz": (b"\x1f\x8b", "nested_archive"),
    "r/lib/tool.jar": (b"PK\x03\x04", "nested_archive"),
    "r/codegen.py": (b'MARK = "x"\n' * 50 + b'HEAD = "// @generated"\n', "record"),
    "r/table.py": (b"ROW = [" + b"1, " * 400 + b"]\n", "record"),
    "r/distance/vendoring.py": (b"x = 1\n", "record"),
}


def test_files_that_nobody_wrote_there_are_quarantined_each_with_its_reason(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    path = write_tar(tmp_path / "r.tar.gz", {name: content for name, (content, _) in NOBODYS.items()})
    results = read(path, limits)
    assert reasons(results) == {name: reason for name, (_, reason) in NOBODYS.items()}
    details = {result.locator: result.detail for result in results if isinstance(result, Reject)}
    assert "'node_modules' holds copies of other projects" in details["r/node_modules/left-pad/index.js"]
    assert "its first lines say 'code generated by'" in details["r/zz_deepcopy.go"]

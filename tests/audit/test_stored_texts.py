"""Texts come out of whatever holds them; what cannot be opened is said, never passed over."""

import bz2
import gzip
import io
import json
import lzma
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from phoenix_assets.audit.stored_texts import UnopenedFile, texts_in

BLOCK = 1 << 16
TEXT = "天下大势，分久必合，合久必分。The empire, long divided, must unite." * 3


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", "")
        archive.writestr("folder/text.txt", content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("text.txt")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def in_two_members(content: bytes) -> bytes:
    return gzip.compress(b"first member\n") + gzip.compress(content)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": in_two_members,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.compress(content, "zstd", asbytes=True),
    "zip": zipped,
    "tar": tarred,
    "tar.gz in zip": lambda content: zipped(gzip.compress(tarred(content))),
    "json": lambda content: content.decode().encode("unicode_escape"),
    "references": lambda content: content.decode().encode("ascii", "xmlcharrefreplace"),
    "html": lambda content: b"<p>" + content.replace(b" ", b"<br/>") + b"</p>",
    "gb18030": lambda content: content.decode().encode("gb18030") * 300,
}


def test_lines_in_json_are_not_broken_by_their_escapes(tmp_path: Path) -> None:
    lines = "\n".join(TEXT[start : start + 20] for start in range(0, len(TEXT), 20))
    (tmp_path / "file").write_text(json.dumps({"text": lines}), "utf-8")
    assert any(lines.replace("\n", " ") in text for text in texts_in(tmp_path / "file", BLOCK))


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_a_text_is_found_in(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pack(TEXT.encode()))
    assert any(TEXT in text for text in texts_in(path, BLOCK))


def test_a_text_is_found_in_a_debian_package(tmp_path: Path) -> None:
    (tmp_path / "control.txt").write_text("odd", "utf-8")
    (tmp_path / "data.tar.xz").write_bytes(lzma.compress(tarred(TEXT.encode())))
    subprocess.run(["ar", "qc", "a.deb", "control.txt", "data.tar.xz"], cwd=tmp_path, check=True)
    assert any(TEXT in text for text in texts_in(tmp_path / "a.deb", BLOCK))


def test_a_text_across_two_blocks_is_found_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (BLOCK - 100) + TEXT.encode() + b"y" * BLOCK)
    assert any(TEXT in text for text in texts_in(path, BLOCK))


@pytest.mark.parametrize(
    "head", [b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ\x00", b"%PDF-1.4"], ids=["zip", "gzip", "xz", "pdf"]
)
def test_what_cannot_be_opened_is_said(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(head + b"\x01" * 600)
    with pytest.raises(UnopenedFile, match="file: "):
        list(texts_in(path, BLOCK))

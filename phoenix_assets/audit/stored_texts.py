"""Every text that lies in a file, whatever the file is: out of archives, compression, PDF, JSON and HTML escapes.

For finding, not for reading: a text may come with markup around it, in pieces that overlap, or in a second decoding. What
holds numbers alone is passed over, and what cannot be opened raises UnopenedFile, so that nobody takes it for empty.
"""

import bz2
import gzip
import html
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

import pyarrow as pa

NUMBERS: Final = frozenset({".npy", ".idx", ".safetensors", ".ckpt", ".nemo", ".png", ".lock"})
_DEPTH: Final = 4  # archives within archives
_OVERLAP: Final = 4096
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_BREAK: Final = re.compile(r"\\[nrt]")
_TAG: Final = re.compile(r"<[^<>]{1,400}>")
_AR: Final = b"!<arch>\n"
_AR_HEADER: Final = 60


class UnopenedFile(Exception):
    """A file cannot be looked into."""


def texts_in(path: Path, block: int) -> Iterator[str]:
    """Yield the texts of a file in pieces of about `block` bytes, with markup and without. Raises UnopenedFile."""
    try:
        with path.open("rb") as file:
            yield from _texts(file, block, _DEPTH)
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        lzma.LZMAError,
        tarfile.TarError,
        zipfile.BadZipFile,
    ) as error:
        raise UnopenedFile(f"{path}: {error}") from error


def _texts(file: IO[bytes], block: int, depth: int) -> Iterator[str]:
    inside = _members(file) if depth else None
    if inside is None:
        yield from _decoded(file, block)
        return
    for member in inside:
        yield from _texts(_seekable(member), block, depth - 1)


def _members(file: IO[bytes]) -> Iterator[IO[bytes]] | None:
    """Return what is within a file, None for a file that is only itself."""
    head = file.read(512)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return iter([cast(IO[bytes], gzip.open(file))])
    if head.startswith(b"BZh"):
        return iter([bz2.open(file)])
    if head.startswith(b"\xfd7zXZ\x00"):
        return iter([lzma.open(file)])
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return iter([pa.CompressedInputStream(pa.PythonFile(file), "zstd")])
    if head.startswith(b"PK\x03\x04"):
        return _zipped(file)
    if head.startswith(_AR):
        return _archived(file)
    if head[257:262] == b"ustar":
        return _tarred(file)
    return _pages(file) if head.startswith(b"%PDF") else None


def _seekable(file: IO[bytes]) -> IO[bytes]:
    return file if file.seekable() else io.BytesIO(file.read())


def _zipped(file: IO[bytes]) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                with archive.open(info) as member:
                    yield member


def _tarred(file: IO[bytes]) -> Iterator[IO[bytes]]:
    with tarfile.open(fileobj=file) as archive:
        for entry in archive:
            if entry.isfile() and (member := archive.extractfile(entry)) is not None:
                yield member


def _archived(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield the members of a Unix archive, as Debian's packages are."""
    file.seek(len(_AR))
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        size = int(header[48:58])
        yield io.BytesIO(file.read(size))
        file.seek(size % 2, io.SEEK_CUR)


def _pages(file: IO[bytes]) -> Iterator[IO[bytes]]:
    import pypdfium2

    document = pypdfium2.PdfDocument(file.read())
    try:
        for page in document:
            yield io.BytesIO(page.get_textpage().get_text_range().encode("utf-8", "replace"))
    finally:
        document.close()


def _decoded(file: IO[bytes], block: int) -> Iterator[str]:
    before = b""
    while piece := file.read(block):
        content = before + piece
        text = content.decode("utf-8", "ignore")
        yield from _unescaped(text)
        if len(text.encode()) < len(content) - _OVERLAP:  # not UTF-8, or not only
            yield content.decode("gb18030", "ignore")
        before = content[-_OVERLAP:]


def _unescaped(text: str) -> Iterator[str]:
    """Yield a text, and what it says without escapes and markup, when it has some."""
    yield text
    plain = text
    if "\\" in plain:
        plain = _BREAK.sub(" ", _ESCAPED.sub(lambda match: chr(int(match[1], 16)), plain))
    if "&" in plain or "<" in plain:
        plain = html.unescape(_TAG.sub(" ", plain))
    if plain != text:
        yield plain.encode("utf-8", "ignore").decode()

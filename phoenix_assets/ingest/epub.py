"""EPUB to one record a chapter, in reading order.

Read straight from the zip archive: the package file (OPF) is looked for anywhere, since real books lie a
folder deep; without a usable one, all XHTML members are taken in name order. Spine items shorter than
`min_chapter_chars` (half titles, part titles) go in front of the chapter that follows.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from phoenix_assets.ingest.archives import ZipMembers, open_zip
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.html import extract_html
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.xml_stream import parse_tree
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_CHAPTER_SUFFIXES: Final = (".xhtml", ".html", ".htm", ".xml")
_CHAPTER_TYPES: Final = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})
_FONT_OBFUSCATIONS: Final = frozenset(
    {
        "http://www.idpf.org/2008/embedding",
        "http://ns.adobe.com/pdf/enc#RC",
    }  # fonts only: the text stays readable
)


@dataclass(frozen=True)
class Book:
    """What the package file says: metadata and the spine's member names."""

    title: str = ""
    lang: str = ""
    author: str = ""
    publisher: str = ""
    identifier: str = ""
    chapters: list[str] = field(default_factory=list)


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record for every chapter of the book; locators are member names.

    Raises RecordRejected for the book.
    """
    archive = open_zip(path, limits)
    _refuse_encrypted(archive, limits)
    book = _book(archive, limits)
    waiting, first, found = "", "", False
    number = 0
    for name in book.chapters:
        try:
            heading, text = extract_html(archive.read(name), None, limits, main_content=False)
        except RecordRejected as problem:
            found = True
            yield Reject(name, problem.reason, problem.detail)
            continue
        if not text:
            continue
        waiting, first = "\n\n".join(filter(None, (waiting, text))), first or name
        if len(text) < limits.epub.min_chapter_chars:
            continue
        number += 1
        yield _chapter(book, first, number, heading, waiting)
        waiting, first, found = "", "", True
    if waiting:
        yield _chapter(book, first, number + 1, "", waiting)
    elif not found:
        raise RecordRejected(RejectReason.EMPTY_TEXT, "no chapter of the book holds text")


def _chapter(book: Book, name: str, number: int, heading: str, text: str) -> Record:
    meta: dict[str, MetaValue] = {
        "chapter": number,
        "heading": heading,
        "author": book.author,
        "publisher": book.publisher,
        "identifier": book.identifier,
    }
    return Record(name, "", book.title, book.lang, text, {key: value for key, value in meta.items() if value})


def _refuse_encrypted(archive: ZipMembers, limits: ReaderLimits) -> None:
    for name in archive.names:
        if not name.endswith("META-INF/encryption.xml"):
            continue
        root = parse_tree(archive.read(name), limits.epub.max_xml_depth)
        methods = {method.get("Algorithm", "") for method in root.iter("EncryptionMethod")}
        if not methods <= _FONT_OBFUSCATIONS:
            raise RecordRejected(RejectReason.ENCRYPTED, "the book is protected (META-INF/encryption.xml)")


def _book(archive: ZipMembers, limits: ReaderLimits) -> Book:
    book = Book()
    packages = sorted((name for name in archive.names if name.lower().endswith(".opf")), key=_depth)
    if packages:
        book = _package(archive, packages[0], limits)
    if book.chapters:
        return book
    chapters = sorted(name for name in archive.names if name.lower().endswith(_CHAPTER_SUFFIXES[:3]))
    if not chapters:
        raise RecordRejected(RejectReason.CORRUPT, "no package file and no XHTML in the archive: not an EPUB")
    return Book(book.title, book.lang, book.author, book.publisher, book.identifier, chapters)


def _package(archive: ZipMembers, name: str, limits: ReaderLimits) -> Book:
    """Return the book as its package file describes it; one that is not well-formed XML describes nothing."""
    try:
        root = parse_tree(archive.read(name), limits.epub.max_xml_depth)
    except RecordRejected as problem:
        if problem.reason is RejectReason.CORRUPT:
            return Book()
        raise
    members = set(archive.names)
    items = {item.get("id", ""): item for item in root.iter("item")}
    chapters = []
    for reference in root.iter("itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None or not _is_chapter(item):
            continue
        href = unquote(item.get("href", "").partition("#")[0])
        member = posixpath.normpath(posixpath.join(posixpath.dirname(name), href))
        if member in members:
            chapters.append(member)
    return Book(
        title=_text(root, "title"),
        lang=_text(root, "language").partition("-")[0].partition("_")[0].lower(),
        author=_text(root, "creator"),
        publisher=_text(root, "publisher"),
        identifier=_text(root, "identifier"),
        chapters=list(dict.fromkeys(chapters)),
    )


def _is_chapter(item: Element) -> bool:
    media_type = item.get("media-type", "").lower()
    return media_type in _CHAPTER_TYPES or item.get("href", "").lower().endswith(_CHAPTER_SUFFIXES[:3])


def _text(root: Element, name: str) -> str:
    element = next(root.iter(name), None)
    return "" if element is None else " ".join("".join(element.itertext()).split())


def _depth(name: str) -> tuple[int, str]:
    return name.count("/"), name

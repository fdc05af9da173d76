"""EPUB to one record a chapter, in reading order.

Read straight from the zip archive, for real books are malformed: the package file (OPF) is the one that the
container names or the shallowest there is, read as XML or, if it is not well-formed, by its tags alone; without a
usable one, all XHTML members are taken in the natural order of their names.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from phoenix_assets.ingest.archives import ZipMembers, open_zip
from phoenix_assets.ingest.chapters import Book, Chapter, extract_xhtml, language, to_records
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.xml_stream import parse_tree
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_CHAPTER_SUFFIXES: Final = (".xhtml", ".html", ".htm")
_CHAPTER_TYPES: Final = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})
_IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".tif", ".tiff")
_FONT_SUFFIXES: Final = (".ttf", ".otf", ".woff", ".woff2")
_FONT_OBFUSCATIONS: Final = frozenset(
    {
        "http://www.idpf.org/2008/embedding",
        "http://ns.adobe.com/pdf/enc#RC",
    }  # fonts only: the text stays readable
)
_MALFORMED: Final = frozenset({RejectReason.CORRUPT, RejectReason.TRUNCATED, RejectReason.INVALID_ENCODING})
_TAG: Final = re.compile(r"<(?:\w+:)?(item|itemref)\b([^<>]*)>")
_ATTRIBUTE: Final = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_METADATA: Final = re.compile(r"<(?:\w+:)?(title|language|creator|publisher|identifier)\b[^<>]*>([^<]+)<")
_DIGITS: Final = re.compile(r"\d+")
_MAX_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Package:
    """What an OPF file says: Dublin Core fields, manifest items by id, ids in reading order."""

    fields: dict[str, str]
    items: dict[str, dict[str, str]]
    spine: list[str]


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record for every chapter of the book; locators are member names.

    Raises RecordRejected for the book.
    """
    archive = open_zip(path, limits)
    _refuse_encrypted(archive, limits)
    package, base = _package(archive, limits)
    chapters = _spine(archive, package, base) or _all_chapters(archive)
    if not chapters:
        raise RecordRejected(RejectReason.CORRUPT, "no package file and no XHTML in the archive: not an EPUB")
    fields = package.fields
    book = Book(
        title=fields.get("title", ""),
        lang=language(fields.get("language", "")),
        author=fields.get("creator", ""),
        publisher=fields.get("publisher", ""),
        identifier=fields.get("identifier", ""),
    )
    try:
        yield from to_records(book, (_chapter(archive, name, limits) for name in chapters), limits.book)
    except RecordRejected as problem:
        if problem.reason is RejectReason.EMPTY_TEXT and _pictures(archive):
            detail = f"no text, but {_pictures(archive)} pictures: scanned, it needs OCR"
            raise RecordRejected(RejectReason.NEEDS_OCR, detail) from problem
        raise


def _chapter(archive: ZipMembers, name: str, limits: ReaderLimits) -> Chapter | Reject:
    try:
        return Chapter(name, *extract_xhtml(archive.read(name), None, limits))
    except RecordRejected as problem:
        return Reject(name, problem.reason, problem.detail)


def _refuse_encrypted(archive: ZipMembers, limits: ReaderLimits) -> None:
    for name in archive.names:
        if not name.endswith("META-INF/encryption.xml"):
            continue
        for data in parse_tree(archive.read(name), limits.xml).iter("EncryptedData"):
            algorithm = next((method.get("Algorithm", "") for method in data.iter("EncryptionMethod")), "")
            target = next((cipher.get("URI", "") for cipher in data.iter("CipherReference")), "")
            if algorithm not in _FONT_OBFUSCATIONS and not target.lower().endswith(_FONT_SUFFIXES):
                detail = f"the book is protected (META-INF/encryption.xml: {target or 'content'})"
                raise RecordRejected(RejectReason.ENCRYPTED, detail)


def _package(archive: ZipMembers, limits: ReaderLimits) -> tuple[Package, str]:
    """Return the book's package and the folder that it lies in; an empty one if there is none."""
    found = sorted((name for name in archive.names if name.lower().endswith(".opf")), key=_depth)
    named = [name for name in found if name in _named_by_container(archive, limits)]
    for name in [*named, *found][:1]:
        content = archive.read(name)
        try:
            return _from_xml(parse_tree(content, limits.xml)), posixpath.dirname(name)
        except RecordRejected as problem:
            if problem.reason not in _MALFORMED:
                raise
        return _from_tags(decode(content, limits)[0]), posixpath.dirname(name)
    return Package({}, {}, []), ""


def _named_by_container(archive: ZipMembers, limits: ReaderLimits) -> set[str]:
    named = set()
    for name in archive.names:
        root, container, _ = name.rpartition("META-INF/container.xml")
        if not container:
            continue
        try:
            files = parse_tree(archive.read(name), limits.xml).iter("rootfile")
        except RecordRejected as problem:
            if problem.reason not in _MALFORMED:
                raise
            continue
        named |= {root + file.get("full-path", "") for file in files}
    return named


def _from_xml(root: Element) -> Package:
    items = {item.get("id", ""): item.attrib for item in root.iter("item")}
    spine = [reference.get("idref", "") for reference in root.iter("itemref")]
    names = ("title", "language", "creator", "publisher", "identifier")
    elements = {name: next(root.iter(name), None) for name in names}
    fields = {
        name: " ".join("".join(element.itertext()).split())
        for name, element in elements.items()
        if element is not None
    }
    return Package(fields, items, spine)


def _from_tags(text: str) -> Package:
    """Return what the tags of a package say that is not well-formed XML."""
    items: dict[str, dict[str, str]] = {}
    fields: dict[str, str] = {}
    spine = []
    for tag, inside in _TAG.findall(text):
        attributes = {name: double or single for name, double, single in _ATTRIBUTE.findall(inside)}
        if tag == "item":
            items[attributes.get("id", "")] = attributes
        else:
            spine.append(attributes.get("idref", ""))
    for name, value in _METADATA.findall(text):
        fields.setdefault(name, " ".join(value.split()))
    return Package(fields, items, spine)


def _spine(archive: ZipMembers, package: Package, base: str) -> list[str]:
    """Return the member names of the chapters in reading order; nothing if the archive has none of them."""
    members = {name.lower(): name for name in archive.names} | {name: name for name in archive.names}
    chapters = []
    for reference in package.spine:
        item = package.items.get(reference, {})
        if _is_chapter(item):
            href = unquote(item.get("href", "").partition("#")[0])
            name = posixpath.normpath(posixpath.join(base, href))
            chapters.append(members.get(name) or members.get(name.lower()) or name)
    return list(dict.fromkeys(chapters)) if any(name in members for name in chapters) else []


def _is_chapter(item: dict[str, str]) -> bool:
    media_type = item.get("media-type", "").lower()
    return media_type in _CHAPTER_TYPES or item.get("href", "").lower().endswith(_CHAPTER_SUFFIXES)


def _all_chapters(archive: ZipMembers) -> list[str]:
    """Return all XHTML members, chapter 2 before chapter 10."""
    chapters = [name for name in archive.names if name.lower().endswith(_CHAPTER_SUFFIXES)]
    return sorted(chapters, key=_natural)


def _natural(name: str) -> str:
    return _DIGITS.sub(lambda number: number[0].zfill(_MAX_DIGITS), name)


def _pictures(archive: ZipMembers) -> int:
    return sum(name.lower().endswith(_IMAGE_SUFFIXES) for name in archive.names)


def _depth(name: str) -> tuple[int, str]:
    return name.count("/"), name

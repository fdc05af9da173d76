"""DOCX to one record a file: paragraphs, headings and tables as Markdown, footnotes at the end, formulas as text.

Read from the zip archive one block of the body at a time; macros, pictures, comments and deleted text are passed
over. The markup is ECMA-376's WordprocessingML, names without namespaces.
"""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from phoenix_assets.ingest.archives import ZipMembers, open_zip
from phoenix_assets.ingest.chapters import language
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.omml import linear_formula
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import too_large
from phoenix_assets.ingest.tables import markdown_table
from phoenix_assets.ingest.xml_stream import parse_tree, subtrees
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

BODY: Final = "word/document.xml"
_NOTES: Final = {"footnoteReference": "word/footnotes.xml", "endnoteReference": "word/endnotes.xml"}
_SEPARATORS: Final = frozenset({"separator", "continuationSeparator", "continuationNotice"})
_HEADING_NAME: Final = re.compile(r"(?:heading|标题|標題)\s*([1-9])", re.IGNORECASE)
_MAX_LEVEL: Final = 6  # of a Markdown heading
_BODY_LEVEL: Final = 9  # outline level 9 is body text
# Deleted or moved text, field codes, the copy of a text box for old programs, properties.
_PASSED_OVER: Final = frozenset(
    {"del", "moveFrom", "instrText", "delText", "Fallback", "pPr", "rPr", "tblPr", "tcPr", "sdtPr", "pict"}
)
_WRAPPERS: Final = frozenset({"sdt", "sdtContent", "ins", "moveTo", "customXml"})
_CHARACTERS: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}


@dataclass(frozen=True)
class _Document:
    """What the reading of the body needs and leaves behind."""

    heading_levels: dict[str, int]  # by style id
    # Kind and id of the notes referred to, in order.
    notes: list[tuple[str, str]] = field(default_factory=list)


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield the one record of a document. Raises RecordRejected."""
    archive = open_zip(path, limits)
    if BODY not in archive.names:
        raise RecordRejected(RejectReason.CORRUPT, f"the archive has no {BODY}: not a DOCX")
    document, blocks, size = _Document(_heading_levels(archive, limits)), [], 0
    body = subtrees(io.BytesIO(archive.read(BODY)), lambda path: path[1:-1] == ["body"], limits.xml)
    for element in body:
        for block in _blocks(element, document):
            blocks.append(block)
            size += len(block.encode("utf-8", "replace"))
            if size > limits.max_record_bytes:
                raise too_large(limits.max_record_bytes)
    title, lang, author = _properties(archive, limits)
    meta: dict[str, MetaValue] = {"author": author} if author else {}
    text = "\n\n".join([*blocks, *_notes(archive, document, limits)])
    yield Record("0", "", title, lang, text, meta)


def _blocks(element: Element, document: _Document) -> Iterator[str]:
    """Yield the Markdown of a block of the body; content controls and insertions are seen through."""
    if element.tag == "p":
        if text := _paragraph(element, document):
            yield text
    elif element.tag == "tbl":
        if table := markdown_table(list(_rows(element, document))):
            yield table
    elif element.tag not in _PASSED_OVER:
        for child in element:
            yield from _blocks(child, document)


def _rows(table: Element, document: _Document) -> Iterator[list[str]]:
    for row in _inside(table, "tr"):
        cells = _inside(row, "tc")
        yield [" ".join(block for child in cell for block in _blocks(child, document)) for cell in cells]


def _inside(element: Element, tag: str) -> Iterator[Element]:
    """Yield the rows or cells of a table, not those of tables inside its cells."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _inside(child, tag)


def _paragraph(element: Element, document: _Document) -> str:
    text = "".join(_runs(element, document)).strip()
    properties = element.find("pPr")
    if not text or properties is None:
        return text
    level = _level(properties, document)
    if level < _BODY_LEVEL:
        return f"{'#' * min(level + 1, _MAX_LEVEL)} {' '.join(text.split())}"
    number = properties.find("numPr")
    if number is None:
        return text
    depth = number.find("ilvl")
    return f"{'  ' * _number(depth)}- {text}"


def _runs(element: Element, document: _Document) -> Iterator[str]:
    for child in element:
        if child.tag in {"t", "sym"}:
            yield child.text or ""
        elif child.tag in _CHARACTERS:
            yield _CHARACTERS[child.tag]
        elif child.tag in _NOTES:
            document.notes.append((child.tag, child.get("id", "")))
            yield f"[^{len(document.notes)}]"
        elif child.tag == "oMath":
            yield linear_formula(child)
        elif child.tag not in _PASSED_OVER:
            yield from _runs(child, document)


def _level(properties: Element, document: _Document) -> int:
    """Return the outline level of a paragraph from 0, `_BODY_LEVEL` for text."""
    outline, style = properties.find("outlineLvl"), properties.find("pStyle")
    if outline is not None:
        return _number(outline)
    return _BODY_LEVEL if style is None else document.heading_levels.get(style.get("val", ""), _BODY_LEVEL)


def _heading_levels(archive: ZipMembers, limits: ReaderLimits) -> dict[str, int]:
    """Return the outline levels of the styles that are headings, by their own word or by their name."""
    levels = {}
    for style in _children(archive, "word/styles.xml", limits):
        name, outline = style.find("name"), style.find("pPr/outlineLvl")
        named = None if name is None else _HEADING_NAME.match(name.get("val", ""))
        if outline is not None:
            levels[style.get("styleId", "")] = _number(outline)
        elif named:
            levels[style.get("styleId", "")] = int(named[1]) - 1
    return levels


def _notes(archive: ZipMembers, document: _Document, limits: ReaderLimits) -> Iterator[str]:
    """Yield the notes that the body refers to, in its order, as Markdown footnotes."""
    texts = {
        (kind, note.get("id", "")): " ".join(block for child in note for block in _blocks(child, document))
        for kind, name in _NOTES.items()
        for note in _children(archive, name, limits)
        if note.get("type") not in _SEPARATORS
    }
    for number, reference in enumerate(document.notes, 1):
        if text := texts.get(reference, ""):
            yield f"[^{number}]: {text}"


def _properties(archive: ZipMembers, limits: ReaderLimits) -> tuple[str, str, str]:
    """Return title, language and author as the document's properties have them."""
    if "docProps/core.xml" not in archive.names:
        return "", "", ""
    root = parse_tree(archive.read("docProps/core.xml"), limits.xml)
    title, lang, author = (
        " ".join((root.findtext(name) or "").split()) for name in ("title", "language", "creator")
    )
    return title, language(lang), author


def _children(archive: ZipMembers, name: str, limits: ReaderLimits) -> Iterable[Element]:
    if name not in archive.names:
        return ()
    return subtrees(io.BytesIO(archive.read(name)), lambda path: len(path) == 2, limits.xml)


def _number(element: Element | None) -> int:
    value = "" if element is None else element.get("val", "")
    return int(value) if value.isdecimal() and len(value) == 1 else 0

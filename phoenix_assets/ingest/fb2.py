"""FictionBook (FB2), plain or in a zip archive, to one record a chapter: the sections right below a body.

Streaming: one section is in memory at a time, pictures (`binary`) never are. Notes are a body of their own, and
come after the text as the file has them.
"""

import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final
from xml.etree.ElementTree import Element

from phoenix_assets.ingest.archives import open_zip
from phoenix_assets.ingest.chapters import Book, Chapter, language, to_records
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import ZIP_MAGICS, open_stream
from phoenix_assets.ingest.tables import markdown_table
from phoenix_assets.ingest.xml_stream import subtrees
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

SUFFIX: Final = ".fb2"
# What stands between the parts of a block; every other element is a line.
_JOINTS: Final = dict.fromkeys(("section", "epigraph", "annotation", "cite", "poem"), "\n\n") | dict.fromkeys(
    ("title", "stanza"), "\n"
)


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record for every chapter; locators are numbers of sections, after the member's name in an archive.

    Raises RecordRejected.
    """
    with path.open("rb") as stream:
        is_zip = stream.read(4) in ZIP_MAGICS
    if not is_zip:
        with open_stream(path, limits) as stream:
            yield from _book(stream, "", limits)
        return
    archive = open_zip(path, limits)
    members = [name for name in archive.names if name.lower().endswith(SUFFIX)]
    if not members:
        raise RecordRejected(RejectReason.CORRUPT, f"the archive holds no {SUFFIX} file")
    for name in members:
        try:
            yield from _book(io.BytesIO(archive.read(name)), f"{name}#", limits)
        except RecordRejected as problem:
            yield Reject(name, problem.reason, problem.detail)


def _book(stream: BinaryIO, prefix: str, limits: ReaderLimits) -> Iterator[Record | Reject]:
    elements = subtrees(stream, _is_wanted, limits.xml)
    first = next(elements, None)
    if first is None:
        raise RecordRejected(RejectReason.CORRUPT, "no <FictionBook> with a body")
    if first.tag == "description":
        return to_records(_description(first), _pieces(elements, prefix), limits.book)
    return to_records(Book(), _pieces(chain([first], elements), prefix), limits.book)


def _is_wanted(path: list[str]) -> bool:
    return path[:1] == ["FictionBook"] and (path[1:] == ["description"] or path[1:-1] == ["body"])


def _pieces(elements: Iterator[Element], prefix: str) -> Iterator[Chapter | Reject]:
    """Yield the sections as chapters; where the file cannot be read on, a Reject of the rest."""
    try:
        for number, element in enumerate(elements, 1):
            title = element.find("title")
            heading = "" if title is None else " ".join(_text(title).split())
            yield Chapter(f"{prefix}{number}", heading, _text(element))
    except RecordRejected as problem:
        yield Reject(prefix.rstrip("#"), problem.reason, f"the book cannot be read on: {problem.detail}")


def _text(element: Element) -> str:
    """Return a section's text: a paragraph a block, verses a line each, tables as Markdown."""
    if element.tag == "table":
        return markdown_table([[_line(cell) for cell in row] for row in element.iter("tr")])
    if element.tag not in _JOINTS:
        return _line(element)
    return _JOINTS[element.tag].join(filter(None, map(_text, element)))


def _line(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _description(element: Element) -> Book:
    info, published = element.find("title-info"), element.find("publish-info")

    def field(parent: Element | None, name: str) -> str:
        found = None if parent is None else parent.find(name)
        return "" if found is None else " ".join(" ".join(found.itertext()).split())

    return Book(
        title=field(info, "book-title"),
        lang=language(field(info, "lang")),
        author=field(info, "author"),
        publisher=field(published, "publisher"),
        identifier=field(published, "isbn"),
    )

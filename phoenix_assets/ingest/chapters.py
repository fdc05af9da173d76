"""A book as records: one a chapter, in reading order, whatever the file format.

Pieces shorter than `min_chapter_chars` (half titles, part titles, short notes) go in front of the chapter that
follows; those at the end make a last record.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

from phoenix_assets.ingest.config import BookLimits, ReaderLimits
from phoenix_assets.ingest.html import extract_html
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

# HTML knows no empty form of these, and would take the rest of the chapter for their content.
_SELF_CLOSED: Final = re.compile(
    rb"<(title|script|style|textarea|iframe|noscript|noembed|noframes|xmp)\b([^<>]*)/>", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Book:
    """What a book says of itself."""

    title: str = ""
    lang: str = ""
    author: str = ""
    publisher: str = ""
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A piece of a book as it is cut in the file. `locator` is unique within the file."""

    locator: str
    heading: str
    text: str


def to_records(
    book: Book, pieces: Iterable[Chapter | Reject], limits: BookLimits
) -> Iterator[Record | Reject]:
    """Yield a Record for every chapter and the Rejects among `pieces`.

    Raises RecordRejected (empty_text) when the pieces hold no text and none was rejected.
    """
    waiting, first, number, found = "", "", 0, False
    for piece in pieces:
        if isinstance(piece, Reject):
            found = True
            yield piece
            continue
        if not piece.text:
            continue
        waiting, first = "\n\n".join(filter(None, (waiting, piece.text))), first or piece.locator
        if len(piece.text) < limits.min_chapter_chars:
            continue
        number += 1
        yield _record(book, first, number, piece.heading, waiting)
        waiting, first, found = "", "", True
    if waiting:
        yield _record(book, first, number + 1, "", waiting)
    elif not found:
        raise RecordRejected(RejectReason.EMPTY_TEXT, "no chapter of the book holds text")


def extract_xhtml(content: bytes, charset: str | None, limits: ReaderLimits) -> tuple[str, str]:
    """Return (title, text) of an XHTML page of a book, all of it. Raises RecordRejected like `extract_html`."""
    content = _SELF_CLOSED.sub(rb"<\1\2></\1>", content)
    return extract_html(content, charset, limits, main_content=False)


def language(tag: str) -> str:
    """Return the primary language of a tag such as zh-CN, in lower case."""
    return tag.strip().partition("-")[0].partition("_")[0].lower()


def _record(book: Book, locator: str, number: int, heading: str, text: str) -> Record:
    about = {name: value for name, value in asdict(book).items() if name not in {"title", "lang"}}
    meta: dict[str, MetaValue] = {
        name: value for name, value in {"chapter": number, "heading": heading, **about}.items() if value
    }
    return Record(locator, "", book.title, book.lang, text, meta)

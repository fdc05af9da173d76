"""PDF to one record a file, from its text layer.

Running heads, footers and page numbers go, words broken at a line's end are joined, pages follow each other
without a gap. A file without a text layer needs OCR and says so; so does an encrypted one.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pypdfium2
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

from phoenix_assets.ingest.config import PdfLimits, ReaderLimits
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_NUMBERS: Final = re.compile(r"\d+")
_PAGE_NUMBER: Final = re.compile(
    r"[-–—\s]*(?:\d{1,5}|[ivxlcdm]{1,8})[-–—\s]*|第\s*\d+\s*页.*|page\s+\d+.*", re.IGNORECASE
)
# PDFium marks a hyphen that breaks a word as U+0002 or U+FFFE; other breaks keep "-\n".
_MARKED_HYPHEN: Final = re.compile("[\x02\ufffe]\n?")
_DOT_LEADER: Final = re.compile(r"(?:[ \u00a0]?\.){5,}")  # from a title to its page, in tables of contents
_BROKEN_WORD: Final = re.compile(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])")


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield the one record of a PDF. Raises RecordRejected: encrypted, corrupt, needs_ocr or too_large."""
    document = _open(path)
    try:
        pages = _pages(document, limits)
        title = " ".join((document.get_metadata_dict().get("Title") or "").split())
    finally:
        document.close()
    characters = sum(len("".join(page.split())) for page in pages)
    if characters < limits.pdf.min_chars_per_page * len(pages) or not characters:
        detail = f"{len(pages)} pages hold {characters} characters: scanned, it needs OCR"
        raise RecordRejected(RejectReason.NEEDS_OCR, detail)
    meta: dict[str, MetaValue] = {"pages": len(pages)}
    yield Record("0", "", title, "", join_pages(pages, limits.pdf), meta)


def join_pages(pages: list[str], limits: PdfLimits) -> str:
    """Return the running text of `pages` (lines end in LF)."""
    lines = [[line.rstrip() for line in page.split("\n")] for page in pages]
    running = _running_lines(lines, limits)
    kept = [_without_edges(page, running, limits.edge_lines) for page in lines]
    text = "\n".join("\n".join(page) for page in kept if page)
    return _DOT_LEADER.sub(" …", _BROKEN_WORD.sub("", _MARKED_HYPHEN.sub("", text))).strip()


def _open(path: Path) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) in {FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY} or "assword" in str(
            error
        ):
            raise RecordRejected(RejectReason.ENCRYPTED, "the PDF is protected by a password") from error
        raise RecordRejected(RejectReason.CORRUPT, f"the PDF cannot be opened: {error}") from error


def _pages(document: pypdfium2.PdfDocument, limits: ReaderLimits) -> list[str]:
    pages, size = [], 0
    for number in range(len(document)):
        page = document[number]
        layer = page.get_textpage()
        text = layer.get_text_bounded(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        layer.close()
        page.close()
        size += len(text.encode("utf-8", "replace"))
        if size > limits.max_record_bytes:
            raise too_large(limits.max_record_bytes)
        pages.append(text.strip("\n"))
    return pages


def _running_lines(pages: list[list[str]], limits: PdfLimits) -> set[str]:
    """Return the edge lines, digits aside, that recur on more than the allowed share of the pages."""
    if len(pages) < limits.min_pages_for_edges:
        return set()
    counts = Counter(
        key for page in pages for key in {_key(line) for line in _edges(page, limits.edge_lines)}
    )
    return {key for key, count in counts.items() if key and count > limits.repeated_edge_share * len(pages)}


def _edges(page: list[str], count: int) -> list[str]:
    return page[:count] + page[max(count, len(page) - count) :] if count else []


def _without_edges(page: list[str], running: set[str], count: int) -> list[str]:
    """Return the page's lines without running lines and page numbers among its `count` edge lines."""
    start, end = 0, len(page)
    while start < min(count, end) and _is_furniture(page[start], running):
        start += 1
    while end > max(start, len(page) - count) and _is_furniture(page[end - 1], running):
        end -= 1
    return page[start:end]


def _is_furniture(line: str, running: set[str]) -> bool:
    return _key(line) in running or bool(_PAGE_NUMBER.fullmatch(line.strip()))


def _key(line: str) -> str:
    return _NUMBERS.sub("#", " ".join(line.split()))

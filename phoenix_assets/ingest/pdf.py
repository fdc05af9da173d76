"""PDF to one record a file, from its text layer: `layout` puts lines in order and into paragraphs.

A page without a usable text layer but with a picture is scanned: it is rejected by its number, the rest goes on. A
file of such pages needs OCR as a whole; an encrypted one says so. `pdf_process` bounds what a document may cost.
"""

import ctypes
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

import pypdfium2
from pypdfium2 import raw

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.layout import MARKED_HYPHENS, Line, running_text, without_running_heads
from phoenix_assets.ingest.pdf_streams import refuse_stream_bombs
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "3"

Source: TypeAlias = Path | bytes  # a file, or its content

_LINE: Final = re.compile(f"[^\\r\\n{MARKED_HYPHENS}]+[{MARKED_HYPHENS}]?")
# Private use, replacement and control characters: glyphs whose Unicode value the file does not tell.
_UNMAPPED: Final = re.compile("[\ue000-\uf8ff\ufffd\x01\x03-\x08\x0e-\x1f]")


def read_document(source: Source, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Reject for each scanned page, then the one record of a PDF; locators are `page N` and `0`.

    Raises RecordRejected: encrypted, corrupt, needs_ocr, bomb or too_large.
    """
    refuse_stream_bombs(source, limits)
    document = _open(source)
    try:
        if len(document) > limits.pdf.max_pages:
            detail = f"{len(document)} pages, more than {limits.pdf.max_pages}"
            raise RecordRejected(RejectReason.BOMB, detail)
        pages = without_running_heads(list(_pages(document, limits)), limits.pdf)
        unread = {number: why for number, page in enumerate(pages) if (why := _unreadable(page, limits))}
        if len(unread) == len(pages):
            detail = f"none of {len(pages)} pages has a text layer: scanned, it needs OCR"
            raise RecordRejected(RejectReason.NEEDS_OCR, detail)
        scanned = [number for number in unread if pages[number] or _has_picture(document, number)]
        title = " ".join((document.get_metadata_dict().get("Title") or "").split())
    finally:
        document.close()
    for number in scanned:
        yield Reject(f"page {number + 1}", RejectReason.NEEDS_OCR, f"page {number + 1} {unread[number]}")
    kept = [page for number, page in enumerate(pages) if number not in scanned]
    meta: dict[str, MetaValue] = {"pages": len(pages)}
    if scanned:
        meta["pages_scanned"] = len(scanned)
    yield Record("0", "", title, "", running_text(kept, limits.pdf), meta)


def _open(source: Source) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(source)
    except pypdfium2.PdfiumError as error:
        locked = {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}
        if getattr(error, "err_code", None) in locked or "assword" in str(error):
            raise RecordRejected(RejectReason.ENCRYPTED, "the PDF is protected by a password") from error
        raise RecordRejected(RejectReason.CORRUPT, f"the PDF cannot be opened: {error}") from error


def _unreadable(page: list[Line], limits: ReaderLimits) -> str:
    """Return what keeps a page's text layer from being read, "" if nothing does."""
    text = "".join("".join(line.text.split()) for line in page)
    if len(text) < limits.pdf.min_chars_per_page:
        return "has no text layer: scanned, it needs OCR"
    if len(_UNMAPPED.findall(text)) > limits.pdf.max_unmapped_share * len(text):
        return "has a text layer without Unicode values: it needs OCR"
    return ""


def _has_picture(document: pypdfium2.PdfDocument, number: int) -> bool:
    page = document[number]
    try:
        return any(True for _ in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]))
    finally:
        page.close()


def _pages(document: pypdfium2.PdfDocument, limits: ReaderLimits) -> Iterator[list[Line]]:
    size = 0
    for number in range(len(document)):
        page = document[number]
        layer = page.get_textpage()
        lines = list(_lines(layer, limits))
        layer.close()
        page.close()
        size += sum(len(line.text.encode("utf-8", "replace")) for line in lines)
        if size > limits.max_record_bytes:
            raise too_large(limits.max_record_bytes)
        yield lines


def _lines(layer: pypdfium2.PdfTextPage, limits: ReaderLimits) -> Iterator[Line]:
    """Yield the lines of a page in the file's order; one with a wide gap inside comes as its parts."""
    text = layer.get_text_range(errors="replace")
    for found in _LINE.finditer(text):
        if not found[0].strip():
            continue
        first, last = (
            raw.FPDFText_GetCharIndexFromTextIndex(layer, place) for place in (found.start(), found.end() - 1)
        )
        boxes = _boxes(layer, first, last - first + 1)
        if first < 0 or last < first or not boxes:
            continue
        height = _type_height(layer, first) or boxes[0][3] - boxes[0][1]
        yield from _parts(found[0], boxes, height, layer, first, limits)


def _parts(
    text: str,
    boxes: list[tuple[float, float, float, float]],
    height: float,
    layer: pypdfium2.PdfTextPage,
    first: int,
    limits: ReaderLimits,
) -> Iterator[Line]:
    left, bottom = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, top = max(box[2] for box in boxes), max(box[3] for box in boxes)
    gap = limits.pdf.column_gap * height
    if all(after[0] - before[2] <= gap for before, after in pairwise(boxes)):
        yield Line(text.strip(), left, bottom, right, top, height)
        return
    start, begins, ends = 0, left, left
    for place, character in enumerate(text):
        if character.isspace():
            continue
        char_left, char_right = _char_span(layer, first + place)
        if char_left - ends > gap and text[start:place].strip():
            yield Line(text[start:place].strip(), begins, bottom, ends, top, height)
            start, begins = place, char_left
        ends = max(char_right, ends)
    yield Line(text[start:].strip(), begins, bottom, ends, top, height)


def _boxes(layer: pypdfium2.PdfTextPage, first: int, count: int) -> list[tuple[float, float, float, float]]:
    """Return (left, bottom, right, top) of the pieces that PDFium sees in a run of characters."""
    return [layer.get_rect(number) for number in range(max(raw.FPDFText_CountRects(layer, first, count), 0))]


def _type_height(layer: pypdfium2.PdfTextPage, index: int) -> float:
    """Return the height of a character's type: ascent to descent, whatever the glyph."""
    box = raw.FS_RECTF()
    return box.top - box.bottom if raw.FPDFText_GetLooseCharBox(layer, index, box) else 0.0


def _char_span(layer: pypdfium2.PdfTextPage, index: int) -> tuple[float, float]:
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    raw.FPDFText_GetCharBox(layer, index, left, right, bottom, top)
    return left.value, right.value

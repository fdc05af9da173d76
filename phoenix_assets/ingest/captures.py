"""What a crawler captured becomes one record: the main text of a page, plain text as it is, the text layer of a PDF.

Successful responses with HTML, plain text or a PDF are documents, and so is text that a crawler extracted. A PDF is one
by its first bytes, whatever its header calls it. Redirects, errors and other media types leave no trace.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from phoenix_assets.ingest import pdf_process
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.html import extract_html
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import PDF_MAGIC, PDF_WITHIN, decode_body, too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_TEXT_TYPES: Final = frozenset({"text/plain"})
_PDF_TYPES: Final = frozenset({"application/pdf", "application/x-pdf"})
_ANY_TYPES: Final = frozenset({"application/octet-stream", "binary/octet-stream", "application/download", ""})
_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Capture:
    """What is known of a capture before its body is read; `length` is the bytes that its header promises."""

    locator: str
    url: str
    media_type: str
    charset: str | None
    codings: tuple[str, ...]  # of the body, outermost first
    length: int
    meta: Mapping[str, MetaValue] = field(default_factory=dict)


def is_document(media_type: str, status: int | None, *, extracted: bool = False) -> bool:
    """Tell whether a response is a document; text that a crawler `extracted` has no status."""
    if extracted:
        return media_type in _TEXT_TYPES
    return status in _SUCCESS and media_type in _HTML_TYPES | _TEXT_TYPES | _PDF_TYPES | _ANY_TYPES


def codings(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the codings of a body, outermost first, from headers with lower-case names."""
    return tuple(
        coding.strip().lower()
        for name in ("transfer-encoding", "content-encoding")
        for coding in reversed(headers.get(name, "").split(","))
    )


def media_type_and_charset(content_type: str) -> tuple[str, str | None]:
    """Return both parts of a Content-Type header, the first in lower case."""
    media_type, _, parameters = content_type.partition(";")
    _, _, charset = parameters.lower().partition("charset=")
    return media_type.strip().lower(), charset.partition(";")[0].strip(" \t\"'") or None


def read_capture(
    capture: Capture, read: Callable[[int], bytes], limits: ReaderLimits
) -> tuple[Record | Reject, ...]:
    """Return the document of a capture, or why there is none; of a PDF also a Reject for each page that is scanned.

    `read` returns up to so many bytes more of the capture's body. What is neither text nor PDF gives nothing.
    """
    body = b""
    try:
        body = read(PDF_WITHIN)
        if capture.media_type in _ANY_TYPES and not any(capture.codings) and PDF_MAGIC not in body:
            return ()
        body += read(limits.max_record_bytes + 1 - len(body))
        if len(body) > limits.max_record_bytes:
            raise too_large(limits.max_record_bytes)
        if len(body) < capture.length:
            detail = f"{len(body)} of {capture.length} bytes are there"
            raise RecordRejected(RejectReason.TRUNCATED, detail)
        return tuple(_results(capture, decode_body(body, list(capture.codings), limits), limits))
    except RecordRejected as problem:
        return (Reject(capture.locator, problem.reason, problem.detail, body[: limits.payload_bytes]),)


def _results(capture: Capture, body: bytes, limits: ReaderLimits) -> Iterator[Record | Reject]:
    if PDF_MAGIC in body[:PDF_WITHIN]:
        yield from _pdf(capture, body, limits)
    elif capture.media_type in _PDF_TYPES:
        raise RecordRejected(RejectReason.CORRUPT, "its header says PDF, but its content is none")
    elif capture.media_type not in _ANY_TYPES:
        title, text = _title_and_text(capture, body, limits)
        if not text:
            raise RecordRejected(RejectReason.EMPTY_TEXT, "no main content found on the page")
        yield Record(capture.locator, capture.url, title, "", text, capture.meta)


def _pdf(capture: Capture, body: bytes, limits: ReaderLimits) -> Iterator[Record | Reject]:
    for result in pdf_process.read(body, limits):
        if isinstance(result, Reject):
            yield replace(result, locator=f"{capture.locator} {result.locator}")
        else:
            meta = {**capture.meta, **result.meta}
            yield replace(result, locator=capture.locator, url=capture.url, meta=meta)


def _title_and_text(capture: Capture, body: bytes, limits: ReaderLimits) -> tuple[str, str]:
    if capture.media_type in _HTML_TYPES:
        return extract_html(body, capture.charset, limits)
    return "", decode(body, limits, declared=capture.charset)[0].strip()

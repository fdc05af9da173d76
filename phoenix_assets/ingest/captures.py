"""What a crawler captured becomes one record: the main text of a page, plain text as it is.

Successful responses with HTML or plain text are documents, and so is text that a crawler extracted. Redirects, errors
and other media types are not: they leave no trace.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.html import extract_html
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import decode_body, too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_TEXT_TYPES: Final = frozenset({"text/plain"})
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
    return status in _SUCCESS and media_type in _HTML_TYPES | _TEXT_TYPES


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


def read_capture(capture: Capture, read: Callable[[int], bytes], limits: ReaderLimits) -> Record | Reject:
    """Return the document of a capture, or why there is none; `read` returns up to so many bytes of its body."""
    body = b""
    try:
        body = read(limits.max_record_bytes + 1)
        if len(body) > limits.max_record_bytes:
            raise too_large(limits.max_record_bytes)
        if len(body) < capture.length:
            detail = f"{len(body)} of {capture.length} bytes are there"
            raise RecordRejected(RejectReason.TRUNCATED, detail)
        title, text = _title_and_text(capture, decode_body(body, list(capture.codings), limits), limits)
    except RecordRejected as problem:
        return Reject(capture.locator, problem.reason, problem.detail, body[: limits.payload_bytes])
    if not text:
        detail = "no main content found on the page"
        return Reject(capture.locator, RejectReason.EMPTY_TEXT, detail, body[: limits.payload_bytes])
    return Record(capture.locator, capture.url, title, "", text, capture.meta)


def _title_and_text(capture: Capture, body: bytes, limits: ReaderLimits) -> tuple[str, str]:
    if capture.media_type in _HTML_TYPES:
        return extract_html(body, capture.charset, limits)
    return "", decode(body, limits, declared=capture.charset)[0].strip()

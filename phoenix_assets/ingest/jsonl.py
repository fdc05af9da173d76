"""JSON lines to one record a line: questions and answers, articles, exercises, or plain text.

Locators are line numbers. Fields that a template does not use go to `meta` when they are plain values.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import open_stream, read_lines, too_large
from phoenix_assets.ingest.templates import article_text, k12_text, qa_text, text_field
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

Template = Callable[[Mapping[str, Any]], str]

_DOCUMENT_FIELDS: Final = frozenset({"text", "title", "url", "lang", "language"})
_USED: Final[Mapping[Template, frozenset[str]]] = {
    qa_text: frozenset({"question", "answer", "content", "comments"}),
    article_text: frozenset({"content", "comments"}),
    k12_text: frozenset({"question", "analysis", "explain", "material", "modelEssay", "guide", "answers"}),
}


def read_qa(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject a line of question-and-answer pairs (`templates.qa_text`)."""
    return _read(path, limits, qa_text)


def read_articles(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject a line of articles (`templates.article_text`)."""
    return _read(path, limits, article_text)


def read_k12(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject a line of exercises (`templates.k12_text`)."""
    return _read(path, limits, k12_text)


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject a line of plain documents: fields text, title, url, lang."""
    return _read(path, limits, _plain_text)


def _plain_text(fields: Mapping[str, Any]) -> str:
    return text_field(fields, "text")


def _read(path: Path, limits: ReaderLimits, template: Template) -> Iterator[Record | Reject]:
    with open_stream(path, limits) as stream:
        for number, line in read_lines(stream, limits.max_record_bytes):
            if line is None or line.strip():
                yield _record(number, line, limits, template)


def _record(number: int, line: bytes | None, limits: ReaderLimits, template: Template) -> Record | Reject:
    payload = b"" if line is None else line[: limits.payload_bytes]
    try:
        if line is None:
            raise too_large(limits.max_record_bytes)
        fields = _fields(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
        text = template(fields)
        if not text:
            raise RecordRejected(
                RejectReason.EMPTY_TEXT, "the fields that make the text are missing or blank"
            )
        url, title = text_field(fields, "url"), text_field(fields, "title")
        lang = text_field(fields, "lang", "language")
    except RecordRejected as problem:
        return Reject(str(number), problem.reason, f"line {number}: {problem.detail}", payload)
    return Record(str(number), url, title, lang, text, _meta(fields, _USED.get(template, frozenset())))


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        detail = f"not UTF-8: {error.reason} at byte {error.start}"
        raise RecordRejected(RejectReason.INVALID_ENCODING, detail) from error
    except (ValueError, RecursionError) as error:
        raise RecordRejected(RejectReason.CORRUPT, f"not valid JSON: {error}") from error
    if not isinstance(fields, dict):
        detail = f"a JSON object is expected, this is {type(fields).__name__}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    return fields


def _meta(fields: Mapping[str, Any], used: frozenset[str]) -> dict[str, MetaValue]:
    return {
        name: value
        for name, value in fields.items()
        if name not in used and name not in _DOCUMENT_FIELDS and isinstance(value, str | int | float | bool)
    }

"""Records of named fields to documents, whatever file they come in and whatever text they become.

A format is a kind of file (JSON lines, a JSON array, CSV, Parquet), with or without a layout of its own; the field map of
the delivery or its source says what the fields are called, and the layout where the format doesn't. Locators are the
records' numbers in the file.
"""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from phoenix_assets.fields import AS_NAMED, COMMENT, FieldMap, Layout, value_at
from phoenix_assets.ingest import delimited, jsonl, parquet
from phoenix_assets.ingest.config import Format, ReaderLimits
from phoenix_assets.ingest.instruct import conversation_text
from phoenix_assets.ingest.mojibake import repair_if_whole
from phoenix_assets.ingest.records import MetaValue, Record, RecordRejected, Reject
from phoenix_assets.ingest.rows import Row, Rows
from phoenix_assets.ingest.templates import article_text, k12_text, qa_text, text_field
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_ROW_PAYLOAD_CHARS_PER_FIELD: Final = 200
# What is in a document's columns or its text and is not repeated in `meta`.
_DOCUMENT_FIELDS: Final = frozenset({"text", "title", "url", "lang", "language"})
_IN_TEXT: Final[Mapping[Layout, frozenset[str]]] = {
    Layout.PLAIN: frozenset(),
    Layout.QA: frozenset({"question", "answer", "content", "comments"}),
    Layout.ARTICLE: frozenset({"content", "comments"}),
    Layout.K12: frozenset({"question", "analysis", "explain", "material", "modelEssay", "guide", "answers"}),
    Layout.INSTRUCT: frozenset({"instruction", "input", "output", "system", "conversations", "messages"}),
}


class StructuredReader(Protocol):
    """A reader that a field map can be told."""

    def __call__(self, path: Path, limits: ReaderLimits, fields: FieldMap = ...) -> Iterator[Record | Reject]:
        """Yield a Record or Reject for every record of the file."""


def _read(
    path: Path, limits: ReaderLimits, fields: FieldMap = AS_NAMED, *, rows: Rows, layout: Layout | None = None
) -> Iterator[Record | Reject]:
    for row in rows(path, limits):
        yield row if isinstance(row, Reject) else _record(row, fields, layout or fields.layout, limits)


READERS: Final[Mapping[str, StructuredReader]] = MappingProxyType(
    {
        Format.JSONL: partial(_read, rows=jsonl.lines),
        Format.JSON: partial(_read, rows=jsonl.values),
        Format.CSV: partial(_read, rows=delimited.rows),
        Format.PARQUET: partial(_read, rows=parquet.rows),
        Format.QA_JSONL: partial(_read, rows=jsonl.lines, layout=Layout.QA),
        Format.ARTICLE_JSONL: partial(_read, rows=jsonl.lines, layout=Layout.ARTICLE),
        Format.K12_JSONL: partial(_read, rows=jsonl.lines, layout=Layout.K12),
        Format.INSTRUCT_JSONL: partial(_read, rows=jsonl.lines, layout=Layout.INSTRUCT),
    }
)


def _record(row: Row, fields: FieldMap, layout: Layout, limits: ReaderLimits) -> Record | Reject:
    named = fields.named(row.fields)
    try:
        text, told = _text(named, layout, limits)
        if not text:
            detail = (
                f"the fields that make the text are missing or blank; present are {', '.join(named)[:500]}"
            )
            raise RecordRejected(RejectReason.EMPTY_TEXT, detail)
        url, title = text_field(named, "url"), text_field(named, "title")
        lang = text_field(named, "lang", "language")
    except RecordRejected as problem:
        payload = row.payload or _excerpt(row.fields)[: limits.payload_bytes]
        return Reject(str(row.number), problem.reason, f"{row.unit} {row.number}: {problem.detail}", payload)
    title, _ = repair_if_whole(title, limits)
    text, misread_as = repair_if_whole(text, limits)
    if misread_as:
        told["misread_as"] = list(misread_as)
    return Record(str(row.number), url, title, lang, text, _meta(row, named, fields, layout) | told)


def _text(
    fields: Mapping[str, Any], layout: Layout, limits: ReaderLimits
) -> tuple[str, dict[str, MetaValue]]:
    """Return a record's text, and what else its layout tells of it."""
    match layout:
        case Layout.QA:
            return qa_text(fields), {}
        case Layout.ARTICLE:
            return article_text(fields), {}
        case Layout.K12:
            return k12_text(fields), {}
        case Layout.INSTRUCT:
            return conversation_text(fields, limits.instruct)
        case Layout.PLAIN:
            return text_field(fields, "text"), {}


def _meta(row: Row, named: Mapping[str, Any], fields: FieldMap, layout: Layout) -> dict[str, MetaValue]:
    if fields.meta is not None:
        values = {path: value_at(row.fields, path) for path in fields.meta}
    else:
        used = _IN_TEXT[layout] | _DOCUMENT_FIELDS
        values = {
            name: value for name, value in named.items() if name not in used and not COMMENT.fullmatch(name)
        }
    return {name: value for name, value in values.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    """Tell whether a value can stand in `meta`; JSON knows no infinite numbers."""
    return math.isfinite(value) if isinstance(value, float) else isinstance(value, str | int)


def _excerpt(fields: Mapping[str, Any]) -> bytes:
    short = {name: str(value)[:_ROW_PAYLOAD_CHARS_PER_FIELD] for name, value in fields.items()}
    return str(short).encode("utf-8", "backslashreplace")

"""What a reader yields, and how it becomes rows.

A reader is a generator of `Record`s (documents to be) and `Reject`s (records that go to quarantine); where a repository
was delivered file by file, a file of it may be a `Licence`, which is neither and is counted. Inside a
reader, code that cannot use a record raises `RecordRejected`; the reader catches it where the record ends and
goes on with the next one, or lets it pass when the rest of the file is lost.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from phoenix_assets.errors import DeliveryError
from phoenix_assets.schema import DOCUMENT, QUARANTINE, RejectReason, document_id

MetaValue = str | int | float | bool | None | list[str] | list[int]


@dataclass(frozen=True, slots=True)
class Record:
    """One document as its reader found it. `locator` is unique within the file."""

    locator: str
    url: str
    title: str
    lang: str
    text: str
    meta: Mapping[str, MetaValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reject:
    """One record, or a whole file (`locator` ""), that cannot become a document, with its first bytes."""

    locator: str
    reason: RejectReason
    detail: str
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Licence:
    """A delivered file that is no document: it says what licence other files are under, and their `meta` has it."""


class RecordRejected(DeliveryError):
    """A record, or the rest of a file, cannot be read: a reason and a sentence that a vendor understands."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def to_documents(
    records: Iterable[tuple[str, Record]], source: str, delivery: str
) -> tuple[pl.DataFrame, list[tuple[str, Reject]]]:
    """Return records, each with its file, as DOCUMENT rows, in order, and those that are no valid Unicode as Rejects.

    The locator becomes `<file>#<locator>` and gives the doc_id. A record with a lone surrogate (JSON can
    spell one) cannot be written as UTF-8: it is rejected, never repaired.
    """
    rows, rejects = [], []
    locators = []
    for file, record in records:
        problem = _not_unicode(record)
        if problem is None:
            rows.append(record)
            locators.append(f"{file}#{record.locator}")
        else:
            rejects.append((file, problem))
    columns = {
        "doc_id": [document_id(source, delivery, locator) for locator in locators],
        "source": [source] * len(rows),
        "delivery": [delivery] * len(rows),
        "locator": locators,
        "url": [record.url for record in rows],
        "title": [record.title for record in rows],
        "lang": [record.lang for record in rows],
        "text": [record.text for record in rows],
        "meta": [_json(record.meta) for record in rows],
    }
    return pl.DataFrame(columns, schema=DOCUMENT), rejects


def to_quarantine(
    rejects: Iterable[tuple[str, Reject]], source: str, delivery: str, stage: str
) -> pl.DataFrame:
    """Return rejects, each with its file, as QUARANTINE rows, in their order."""
    found = list(rejects)
    rows = [reject for _, reject in found]
    columns = {
        "source": [source] * len(rows),
        "delivery": [delivery] * len(rows),
        "file": [file for file, _ in found],
        "locator": [_encodable(reject.locator) for reject in rows],
        "stage": [str(stage)] * len(rows),
        "reason": [str(reject.reason) for reject in rows],
        "detail": [_encodable(reject.detail) for reject in rows],
        "payload": [reject.payload for reject in rows],
    }
    return pl.DataFrame(columns, schema=QUARANTINE)


def _not_unicode(record: Record) -> Reject | None:
    try:
        for value in (record.text, record.title, record.url, record.locator, record.lang, _json(record.meta)):
            value.encode("utf-8")
    except UnicodeEncodeError as error:
        detail = f"not valid Unicode: {error.reason} at character {error.start}"
        excerpt = record.text[max(0, error.start - 100) : error.start + 100]
        payload = excerpt.encode("utf-8", "backslashreplace")
        return Reject(_encodable(record.locator), RejectReason.INVALID_ENCODING, detail, payload)
    return None


def _json(meta: Mapping[str, MetaValue]) -> str:
    return json.dumps(dict(meta), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _encodable(text: str) -> str:
    """Return `text` with lone surrogates escaped: names in archives may hold undecodable bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

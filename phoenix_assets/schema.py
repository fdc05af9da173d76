"""What the rooms hand to each other: documents, ledger rows, quarantined records.

A document keeps its `doc_id` from extraction to the training step that saw it; stages add columns or change
`text`, never `doc_id`. Each stage that can drop or change a document writes one `LEDGER` row per input row, so
rows in = rows kept + rows dropped, always.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

DOCUMENT = pl.Schema(
    {
        "doc_id": pl.String(),  # 32 hex digits: stable 128-bit hash of source, delivery and locator
        "source": pl.String(),
        "delivery": pl.String(),
        "locator": pl.String(),  # "<file in the delivery>#<record or offset>"
        "url": pl.String(),
        "title": pl.String(),
        "lang": pl.String(),  # ISO 639-1 where known, "" before language identification
        "text": pl.String(),
        "meta": pl.String(),  # JSON object: what the reader knows beside the text (author, MIME type, …)
    }
)

LEDGER = pl.Schema(
    {
        "doc_id": pl.String(),
        "delivery": pl.String(),
        "stage": pl.String(),
        "kept": pl.Boolean(),
        "drop_reason": pl.String(),  # "success" when kept
        "rules_name": pl.List(
            pl.String()
        ),  # parallel lists over all rules, also those after the first failure
        "rules_value": pl.List(pl.Float64()),
        "rules_cond": pl.List(pl.Boolean()),
        "duplicate_of": pl.String(),  # null unless dropped as a duplicate
        "chars_in": pl.Int64(),
        "chars_out": pl.Int64(),
        "lang": pl.String(),  # the language by which the rules' bounds were chosen; null where the stage has none
    }
)

QUARANTINE = pl.Schema(
    {
        "source": pl.String(),
        "delivery": pl.String(),
        "file": pl.String(),
        "locator": pl.String(),  # record within the file: number, offset or member name; "" for the whole file
        "stage": pl.String(),
        "reason": pl.String(),  # a RejectReason value
        "detail": pl.String(),  # one sentence a vendor understands
        "payload": pl.Binary(),  # the record's first bytes, bounded by the reader's limits
    }
)

KEPT = "success"


class Stage(StrEnum):
    """The stages of a source's chain, in the order data flows through them."""

    RAW = "raw"
    EXTRACTED = "extracted"
    NORMALIZED = "normalized"
    FILTERED = "filtered"
    DEDUPED = "deduped"
    TRIMMED = "trimmed"
    TAGGED = "tagged"


class RejectReason(StrEnum):
    """Why a file or a record went to quarantine."""

    BAD_MANIFEST = "bad_manifest"
    UNKNOWN_SOURCE = "unknown_source"
    UNKNOWN_FORMAT = "unknown_format"
    MISSING_FILE = "missing_file"
    WRONG_SIZE = "wrong_size"
    WRONG_CHECKSUM = "wrong_checksum"
    PATH_ESCAPES = "path_escapes"
    EMPTY_DELIVERY = "empty_delivery"
    NAME_TAKEN = "name_taken"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    BOMB = "bomb"
    INVALID_ENCODING = "invalid_encoding"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    EMPTY_TEXT = "empty_text"
    ENCRYPTED = "encrypted"
    NEEDS_OCR = "needs_ocr"
    NESTED_ARCHIVE = "nested_archive"
    LINK = "link"
    VENDORED = "vendored"
    GENERATED = "generated"
    MINIFIED = "minified"
    ERASED = "erased"


@dataclass(frozen=True)
class StageOutput:
    """What a stage's kernel makes of one frame of documents."""

    documents: pl.DataFrame
    ledger: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LEDGER))
    quarantine: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=QUARANTINE))
    counts: Mapping[str, int] = field(
        default_factory=dict
    )  # what else the stage counted; outputs' counts add up


def ledger_rows(documents: pl.DataFrame, stage: str, **columns: pl.Series | pl.Expr) -> pl.DataFrame:
    """Return LEDGER rows for `documents` (doc_id, delivery, text, lang if known): all kept and unchanged, but for `columns`."""
    chars = pl.col("text").str.len_chars().cast(pl.Int64)
    defaults: dict[str, pl.Series | pl.Expr] = {
        "stage": pl.lit(str(stage)),
        "kept": pl.lit(True),
        "drop_reason": pl.lit(KEPT),
        "rules_name": pl.lit([], dtype=pl.List(pl.String)),
        "rules_value": pl.lit([], dtype=pl.List(pl.Float64)),
        "rules_cond": pl.lit([], dtype=pl.List(pl.Boolean)),
        "duplicate_of": pl.lit(None, dtype=pl.String),
        "chars_in": chars,
        "chars_out": chars,
        "lang": pl.col("lang") if "lang" in documents.columns else pl.lit(None, dtype=pl.String),
    }
    return documents.with_columns(**(defaults | columns)).select(
        pl.col(name).cast(dtype) for name, dtype in LEDGER.items()
    )


def document_id(source: str, delivery: str, locator: str) -> str:
    """Return the stable 128-bit id (32 hex digits) of the record at `locator` of a delivery."""
    key = "\x00".join((source, delivery, locator)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(key, digest_size=16).hexdigest()

"""Which columns each column of a stage's rows is made of.

A column that a stage does not name here is the column of the same name in what it reads, unchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_DELIVERED: Final = ("file", "sha256", "format", "fields")
_DERIVED: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "extracted": {
        "doc_id": ("source", "file"),
        "locator": ("file",),
        **dict.fromkeys(("url", "title", "lang", "text", "meta"), _DELIVERED),
    },
    "normalized": {"title": ("title",), "text": ("text",)},
    "filtered": dict.fromkeys(("lang", "lang_score", "perplexity", "safety"), ("text",)),
    "signatures": {"url_hash": ("url",), "exact_hash": ("text",), "signature": ("text",), "quality": ("text",)},
    "paragraphs": {"prints": ("text",), "quality": ("text",)},
    "sentences": {"prints": ("text",), "quality": ("text",)},
    "trimmed": {"text": ("text", "duplicated", "kept")},
    "tagged": {"quality": ("text", "lang"), "tags": ("text", "lang", "quality")},
    "mix": {
        "component": ("source", "lang", "tags", "quality", "safety"),
        "split": ("doc_id",),
        "copies": ("doc_id", "text"),
        "chars": ("text",),
        "est_tokens": ("text",),
        "reason": ("quality", "safety", "tags"),
    },
    "url": dict.fromkeys(("kept", "duplicate_of", "similarity"), ("url_hash", "received", "quality")),
    "exact": dict.fromkeys(("kept", "duplicate_of", "similarity"), ("exact_hash", "received", "quality")),
    "near": dict.fromkeys(("kept", "duplicate_of", "similarity", "band"), ("signature", "received", "quality")),
}  # fmt: skip
_CHOSEN_BY: Final[Mapping[str, Sequence[str]]] = {  # the columns by which a stage leaves rows out
    "normalized": ("text",),
    "filtered": ("text", "url", "meta"),
    "deduped": ("kept",),
    "trimmed": ("kept",),
    "mix": ("source", "lang", "tags", "quality", "safety"),
}


@dataclass(frozen=True)
class Origin:
    """A column of an input that a column is made of."""

    input: str
    column: str
    unchanged: bool


def column_origins(
    stage: str, columns: Sequence[str], inputs: Mapping[str, Sequence[str]]
) -> dict[str, list[Origin]]:
    """Return, for each of `columns`, what it is made of in `inputs` (columns by name); nothing for unknown ones."""
    derived = _DERIVED.get(stage, {})
    return {
        column: [
            Origin(name, source, unchanged=column not in derived)
            for name, there in inputs.items()
            for source in derived.get(column, (column,))
            if source in there
        ]
        for column in columns
    }


def row_origins(stage: str, inputs: Mapping[str, Sequence[str]]) -> list[Origin]:
    """Return the columns that decide which rows a stage keeps."""
    wanted = _CHOSEN_BY.get(stage, ())
    return [
        Origin(name, column, unchanged=False)
        for name, there in inputs.items()
        for column in wanted
        if column in there
    ]

"""The documents that the benchmarks run over: real Chinese and English text.

Text comes from the first of these that has any: the lake's `<source>/normalized` tables, the pages and text
files under `$PHOENIX_HOME/landing`, the docstrings of Python's standard library (English only). A document is
a run of lines of a found text, at most `MAX_CHARACTERS` long, so that no single manual or novel decides a
result.
"""

import ast
import hashlib
import re
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

MIN_DOCUMENTS: Final = 100  # of a language, or it is left out
MIN_CHARACTERS: Final = 200
MAX_CHARACTERS: Final = 3000
SCHEMA: Final = pa.schema(
    [
        ("id", pa.int64()),
        ("lang", pa.string()),
        ("text", pa.string()),
        ("near_duplicate_of", pa.int64()),
        ("jaccard", pa.float64()),
    ]
)
Row = tuple[int, str, str, int | None, float | None]
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]")


class CorpusError(Exception):
    """There is no text to measure with."""


@dataclass(frozen=True)
class Corpus:
    """The files of documents, and how many of each language `documents` has, without near duplicates."""

    documents: Path
    reference: Path  # other documents, not measured: what language models are trained on
    counts: dict[str, int]


def build(home: Path, folder: Path, *, per_language: int) -> Corpus:
    """Write the documents of `home` as two files: those that are measured, and the rest.

    Measured are `per_language` documents of each language, at most half of what is there. The same text
    gives the same files. Raises CorpusError when no language has MIN_DOCUMENTS documents.
    """
    found: dict[str, dict[bytes, str]] = {"en": {}, "zh": {}}
    for text in texts_of(home):
        for document in _pieces(text):
            lang = language(document)
            if lang is not None:
                found[lang][hashlib.blake2b(document.encode(), digest_size=16).digest()] = document
    rows: list[Row] = []
    rest: list[Row] = []
    counts: dict[str, int] = {}
    for lang, documents in found.items():
        texts = [documents[key] for key in sorted(documents)]
        counts[lang] = min(per_language, len(texts) // 2)
        rows += [
            (len(rows) + number, lang, text, None, None) for number, text in enumerate(texts[: counts[lang]])
        ]
        rest += [
            (len(rest) + number, lang, text, None, None) for number, text in enumerate(texts[counts[lang] :])
        ]
    if max(counts.values()) < MIN_DOCUMENTS:
        raise CorpusError(
            f"{home}: {counts} documents; land the sample corpus or set PHOENIX_HOME to a home with data"
        )
    corpus = Corpus(folder / "documents.parquet", folder / "reference.parquet", counts)
    folder.mkdir(parents=True, exist_ok=True)
    write(rows, corpus.documents)
    write(rest, corpus.reference)
    return corpus


def language(text: str) -> str | None:
    """Return zh or en by the characters of a text, None when it is clearly neither."""
    han, latin = len(_HAN.findall(text)), len(_LATIN.findall(text))
    if han > 0.3 * len(text):
        return "zh"
    return "en" if latin > 0.6 * len(text) and han == 0 else None


def texts_of(home: Path) -> Iterator[str]:
    """Yield the texts of the first place that has any. The same files give the same texts in the same order."""
    for source in (_lake(home), _landing(home), _docstrings()):
        first = next(source, None)
        if first is not None:
            yield first
            yield from source
            return


def _lake(home: Path) -> Iterator[str]:
    from deltalake import DeltaTable

    for table in sorted((home / "lake").glob("*/normalized")):
        if (table / "_delta_log").is_dir():
            yield from _strings(
                DeltaTable(str(table)).to_pyarrow_dataset().to_table(columns=["text"])["text"]
            )


def _strings(column: Any) -> Iterator[str]:
    for chunk in column.chunks:
        yield from (text for text in chunk.to_pylist() if text)


def _landing(home: Path) -> Iterator[str]:
    from resiliparse.extract.html2text import extract_plain_text

    for path in sorted((home / "landing").rglob("*")):
        if path.name.endswith((".warc", ".warc.gz")):
            yield from (extract_plain_text(page) for page in _pages(path))
        elif path.suffix in {".html", ".htm"}:
            yield extract_plain_text(path.read_text("utf-8", "replace"))
        elif path.suffix == ".txt":
            yield path.read_text("utf-8", "replace")


def _pages(path: Path) -> Iterator[str]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            yield record.reader.read().decode("utf-8", "replace")


def _docstrings() -> Iterator[str]:
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        tree = ast.parse(path.read_bytes())
        nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, nodes)]
        yield "\n\n".join(docstring for docstring in found if docstring)


def _pieces(text: str) -> Iterator[str]:
    """Cut a text between lines into documents of the lengths allowed; longer lines are left out."""
    lines: list[str] = []
    size = 0
    for line in (*text.splitlines(), None):
        if line is None or size + len(line) + 1 > MAX_CHARACTERS:
            if size >= MIN_CHARACTERS:
                yield "\n".join(lines).strip()
            lines, size = [], 0
        if line is not None and len(line) < MAX_CHARACTERS:
            lines.append(line)
            size += len(line) + 1


def write(rows: Sequence[Row], path: Path, *, shard: int | None = None) -> None:
    """Write rows of SCHEMA as Parquet, `shard` of them to a row group."""
    columns = [
        pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)
    ]
    pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), path, row_group_size=shard)

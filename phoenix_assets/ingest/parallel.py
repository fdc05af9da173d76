r"""Aligned text (TSV with a header of language codes, `en\tzh`) to documents of consecutive pairs.

A document is the lines of `pairs_per_document` rows, languages in the header's order: English, its Chinese,
the next English, … Its locator is the range of its lines in the file. A row that lacks all but one language
is rejected.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import open_stream, read_lines, too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record for every group of rows and a Reject for every row that cannot be used.

    Raises RecordRejected (corrupt) without a header of at least two different languages.
    """
    langs: list[str] = []
    pairs: list[tuple[int, list[str]]] = []
    size = 0
    with open_stream(path, limits) as stream:
        for number, line in read_lines(stream, limits.max_record_bytes):
            if not langs:
                langs = _header(line)
                continue
            if line is not None and not line.strip(b" "):
                continue
            try:
                cells = _cells(line, langs, limits)
            except RecordRejected as problem:
                payload = (line or b"")[: limits.payload_bytes]
                yield Reject(str(number), problem.reason, f"line {number}: {problem.detail}", payload)
                continue
            length = sum(map(len, cells))
            if pairs and size + length > limits.max_record_bytes // 4:
                yield _document(pairs, langs)
                pairs, size = [], 0
            pairs.append((number, cells))
            size += length
            if len(pairs) == limits.parallel.pairs_per_document:
                yield _document(pairs, langs)
                pairs, size = [], 0
    if pairs:
        yield _document(pairs, langs)


def _header(line: bytes | None) -> list[str]:
    names = (line or b"")[:1000].decode("utf-8-sig", "replace").split("\t")
    langs = [name.strip() for name in names]
    if len(langs) < 2 or len(set(langs)) < len(langs) or not all(map(_LANGUAGE.fullmatch, langs)):
        detail = f"the first line must name two or more languages, such as 'en<tab>zh'; it is {langs!r}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    return langs


def _cells(line: bytes | None, langs: list[str], limits: ReaderLimits) -> list[str]:
    if line is None:
        raise too_large(limits.max_record_bytes)
    try:
        cells = [cell.strip() for cell in line.decode("utf-8").split("\t")]
    except UnicodeDecodeError as error:
        detail = f"not UTF-8: {error.reason} at byte {error.start}"
        raise RecordRejected(RejectReason.INVALID_ENCODING, detail) from error
    if len(cells) != len(langs):
        detail = f"{len(cells)} columns, the header has {len(langs)}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    present = [cell for cell in cells if cell]
    if len(present) < 2:
        raise RecordRejected(RejectReason.EMPTY_TEXT, "fewer than two languages have text")
    return present


def _document(pairs: list[tuple[int, list[str]]], langs: list[str]) -> Record:
    text = "\n".join(cell for _, cells in pairs for cell in cells)
    locator = f"{pairs[0][0]}-{pairs[-1][0]}"
    return Record(locator, "", "", "", text, {"langs": list(langs), "pairs": len(pairs)})

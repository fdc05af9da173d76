r"""Aligned text to documents of consecutive pairs: TSV with a header of language codes (`en\tzh`).

A document is `pairs_per_document` pairs, the languages of a pair in the order of the limits or else of the file: English,
its Chinese, the next English, … Its locator is the range of its lines in the file. A row that lacks all but one language is
rejected. `tmx` reads translation memories into the same documents.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from phoenix_assets.ingest.config import ParallelLimits, ReaderLimits
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import read_lines, too_large
from phoenix_assets.ingest.text_stream import open_text, text_of
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "3"

LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Pair:
    """Texts that say the same, in two or more languages; `number` is the pair's in its file."""

    number: int
    langs: tuple[str, ...]
    texts: tuple[str, ...]

    def in_order_of(self, languages: Sequence[str]) -> "Pair":
        """Return the pair with the listed languages first, the others in their order."""
        rank = {language: place for place, language in enumerate(languages)}
        order = sorted(
            zip(self.langs, self.texts, strict=True),
            key=lambda side: rank.get(re.split("[-_]", side[0].lower())[0], len(rank)),
        )
        return Pair(self.number, tuple(lang for lang, _ in order), tuple(text for _, text in order))


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record for every group of rows and a Reject for every row that cannot be used.

    Raises RecordRejected (corrupt) without a header of at least two different languages.
    """
    return documents(_pairs(path, limits), limits)


def documents(pairs: Iterable[Pair | Reject], limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record for each group of pairs, as many as make a document, and every Reject as it comes.

    Raises what `pairs` raises, after the group before.
    """
    group: list[Pair] = []
    size = 0
    problem = None
    try:
        for pair in pairs:
            if isinstance(pair, Reject):
                yield pair
                continue
            length = sum(map(len, pair.texts))
            full = len(group) == limits.parallel.pairs_per_document
            if full or (group and size + length > limits.max_record_bytes // 4):
                yield _document(group, limits.parallel)
                group, size = [], 0
            group.append(pair)
            size += length
    except RecordRejected as error:
        problem = error
    if group:
        yield _document(group, limits.parallel)
    if problem:
        raise problem


def _pairs(path: Path, limits: ReaderLimits) -> Iterator[Pair | Reject]:
    langs: list[str] = []
    with open_text(path, limits) as (stream, encoding):
        for number, line in read_lines(stream, limits.max_record_bytes):
            if not langs:
                langs = _header(line)
            elif line is None or line.strip(b" "):
                try:
                    yield _pair(number, line, langs, encoding, limits)
                except RecordRejected as problem:
                    payload = (line or b"")[: limits.payload_bytes]
                    yield Reject(str(number), problem.reason, f"line {number}: {problem.detail}", payload)


def _header(line: bytes | None) -> list[str]:
    names = (line or b"")[:1000].decode("utf-8", "replace").split("\t")
    langs = [name.strip() for name in names]
    if len(langs) < 2 or len(set(langs)) < len(langs) or not all(map(LANGUAGE.fullmatch, langs)):
        detail = f"the first line must name two or more languages, such as 'en<tab>zh'; it is {langs!r}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    return langs


def _pair(number: int, line: bytes | None, langs: list[str], encoding: str, limits: ReaderLimits) -> Pair:
    if line is None:
        raise too_large(limits.max_record_bytes)
    cells = [cell.strip() for cell in text_of(line, encoding).split("\t")]
    if len(cells) != len(langs):
        detail = f"{len(cells)} columns, the header has {len(langs)}"
        raise RecordRejected(RejectReason.CORRUPT, detail)
    present = {lang: cell for lang, cell in zip(langs, cells, strict=True) if cell}
    if len(present) < 2:
        raise RecordRejected(RejectReason.EMPTY_TEXT, "fewer than two languages have text")
    return Pair(number, tuple(present), tuple(present.values()))


def _document(pairs: list[Pair], settings: ParallelLimits) -> Record:
    ordered = [pair.in_order_of(settings.languages) for pair in pairs]
    text = "\n".join(cell for pair in ordered for cell in pair.texts)
    langs = list(dict.fromkeys(lang for pair in ordered for lang in pair.langs))
    return Record(
        f"{pairs[0].number}-{pairs[-1].number}", "", "", "", text, {"langs": langs, "pairs": len(pairs)}
    )

"""Translation memories (TMX 1.4) to documents of consecutive pairs, streaming (`parallel.documents`).

A translation unit is a pair: its variants (`tuv`) by their `xml:lang`, the source language of the file's header first.
Inline codes (`bpt`, `ept`, `ph`, `it`, `ut`) are markup of the program that was translated and go; text that they enclose
or highlight (`hi`) stays. Locators are units' numbers from 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.parallel import Pair, documents
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import open_stream
from phoenix_assets.ingest.xml_stream import subtrees
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_CODES: Final = frozenset({"bpt", "ept", "ph", "it", "ut"})


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record for every group of units and a Reject for every unit that is no pair.

    Raises RecordRejected (bomb, truncated, corrupt) where the file cannot be read on, after the units before.
    """
    return documents(_pairs(path, limits), limits)


def _pairs(path: Path, limits: ReaderLimits) -> Iterator[Pair | Reject]:
    source = ""
    number = 0
    with open_stream(path, limits) as stream:
        for element in subtrees(stream, lambda path: path[-1] in {"header", "tu"}, limits.xml):
            if element.tag == "header":
                source = element.get("srclang", "").lower()
                continue
            number += 1
            try:
                yield _pair(number, element, source)
            except RecordRejected as problem:
                payload = "\n".join(map(str.strip, element.itertext())).encode()[: limits.payload_bytes]
                yield Reject(str(number), problem.reason, f"unit {number}: {problem.detail}", payload)


def _pair(number: int, unit: Element, source: str) -> Pair:
    sides: dict[str, str] = {}
    for variant in unit.iter("tuv"):
        lang = variant.get("lang", "")
        segments = variant.findall("seg")
        if not lang or lang in sides or len(segments) != 1:
            detail = f"misaligned: every tuv needs an xml:lang of its own and one seg; the languages are {[*sides, lang]}"
            raise RecordRejected(RejectReason.CORRUPT, detail)
        sides[lang] = " ".join(_text(segments[0]).split())
    present = {lang: text for lang, text in sides.items() if text}
    if len(present) < 2:
        raise RecordRejected(RejectReason.EMPTY_TEXT, f"fewer than two languages have text, of {list(sides)}")
    langs = sorted(present, key=lambda lang: lang.lower() != source)
    return Pair(number, tuple(langs), tuple(present[lang] for lang in langs))


def _text(element: Element) -> str:
    inner = ((_text(child) if child.tag not in _CODES else "") + (child.tail or "") for child in element)
    return (element.text or "") + "".join(inner)

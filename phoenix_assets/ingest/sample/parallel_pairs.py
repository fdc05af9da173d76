"""Recipe `parallel_pairs`: English and Chinese paragraphs with the same id on pages with the same path.

Translated help pages keep the paragraph ids of the original. A pair is taken when the Chinese side is
Chinese (untranslated paragraphs stay English there) and each pair of texts is taken once.
"""

import html
import re
from collections.abc import Iterator, Mapping

from phoenix_assets.ingest.sample.config import ParallelPairs
from phoenix_assets.ingest.sample.warc_pages import Members, position

HEADER = "en\tzh"

_PARAGRAPH = re.compile(r'<(p|h[1-6]) id="((?:par|hd)_id[^"]*)"[^>]*>(.*?)</\1>', re.S)
_TAG = re.compile(r"<[^>]*>")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def paragraphs(page: str) -> dict[str, str]:
    """Return the texts of a help page's paragraphs and headings by id, without ids that occur twice."""
    found: dict[str, list[str]] = {}
    for _, identity, body in _PARAGRAPH.findall(page):
        found.setdefault(identity, []).append(" ".join(html.unescape(_TAG.sub("", body)).split()))
    return {identity: texts[0] for identity, texts in found.items() if len(texts) == 1 and texts[0]}


def page_pairs(english: str, chinese: str, min_chinese_share: float) -> Iterator[tuple[str, str]]:
    """Yield the (English, Chinese) paragraphs that two versions of a page share, in page order."""
    translated = paragraphs(chinese)
    for identity, text in paragraphs(english).items():
        other = translated.get(identity, "")
        if len(_CHINESE.findall(other)) >= min_chinese_share * max(1, len(other)) and not _CHINESE.search(
            text
        ):
            yield text, other


def parallel_pairs(spec: ParallelPairs, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return one TSV file with a header line. `limit` bounds the pages that are read, not the pairs."""
    english, chinese = (
        _by_path(spec.english.root, members[spec.english.archive]),
        _by_path(spec.chinese.root, members[spec.chinese.archive]),
    )
    paths = sorted(english.keys() & chinese.keys(), key=position)[:limit]
    rows = dict.fromkeys(
        pair
        for path in sorted(paths)
        for pair in page_pairs(english[path], chinese[path], spec.min_chinese_share)
    )
    lines = [HEADER, *("\t".join(pair) for pair in rows)]
    return {"en-zh.tsv": ("\n".join(lines) + "\n").encode()}


def _by_path(root: str, members: Mapping[str, bytes]) -> dict[str, str]:
    return {
        path.removeprefix(root): body.decode("utf-8")
        for path, body in members.items()
        if path.startswith(root)
    }

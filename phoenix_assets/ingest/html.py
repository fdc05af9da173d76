"""HTML to text: one scan a page, its main content, and that as Markdown.

Kept are headings, paragraphs, lists, tables of data, code in fences, and formulas as TeX (`$…$`, `$$…$$`), whether the
page has them as MathML, as TeX for KaTeX or MathJax, or as the alternative text of pictures.
"""

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.main_content import find_main_content, keywords, visible_content
from phoenix_assets.ingest.markdown import render
from phoenix_assets.ingest.markup import Page, scan
from phoenix_assets.ingest.mojibake import repair_if_whole
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import read_whole, too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "3"


def extract_html(
    body: bytes, charset: str | None, limits: ReaderLimits, *, main_content: bool = True
) -> tuple[str, str]:
    """Return (title, text) of a page; `charset` is what its transport declared.

    `main_content=False` keeps all visible text (book chapters have no navigation). Without a declared charset, mojibake
    is looked for. Raises RecordRejected:
    too_large, invalid_encoding or bomb.
    """
    if len(body) > limits.max_record_bytes:
        raise too_large(limits.max_record_bytes)
    text, encoding = decode(body, limits, declared=charset, html=True)
    page = scan(
        body if encoding == "utf-8" else text.encode("utf-8", "replace"),
        keywords(limits.html.main),
        max_tags=limits.html.max_tags,
        max_nesting=limits.html.max_nesting,
    )
    _refuse_bomb(page, limits)
    state, top = find_main_content(page, limits.html.main) if main_content else visible_content(page)
    title, shown = _title(page), render(page, state, top)
    if charset or shown.isascii():
        return title, shown
    return repair_if_whole(title, limits)[0], repair_if_whole(shown, limits)[0]


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield the one record of an HTML file."""
    title, text = extract_html(read_whole(path, limits), None, limits)
    yield Record("0", "", title, "", text)


def _title(page: Page) -> str:
    start, end = page.title
    return " ".join(
        html.unescape(page.data[max(start, 0) : max(end, 0)].tobytes().decode("utf-8", "replace")).split()
    )


def _refuse_bomb(page: Page, limits: ReaderLimits) -> None:
    allowed = limits.html
    for what, found, limit in (
        ("nested elements", page.nesting, allowed.max_nesting),
        ("tags", page.tags, allowed.max_tags),
        ("attributes of one element", page.most_attributes, allowed.max_attributes),
    ):
        if found > limit:
            raise RecordRejected(RejectReason.BOMB, f"the page has {found} {what}, more than {limit}")

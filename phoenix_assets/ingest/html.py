"""HTML to text: one parse a page, main content by resiliparse, bombs refused before parsing.

Layout survives as far as resiliparse keeps it: headings and paragraphs as lines, lists with bullets, `<pre>`
with its line breaks, tables tab-separated, formulas as the text of their MathML or as the alternative text of
their picture.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.markup import measure
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import read_whole, too_large
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"


def extract_html(
    body: bytes, charset: str | None, limits: ReaderLimits, *, main_content: bool = True
) -> tuple[str, str]:
    """Return (title, text) of a page; `charset` is what its transport declared.

    `main_content=False` keeps all visible text (book chapters have no navigation). Raises RecordRejected:
    too_large, invalid_encoding or bomb.
    """
    if len(body) > limits.max_record_bytes:
        raise too_large(limits.max_record_bytes)
    html, _ = decode(body, limits, declared=charset, html=True)
    _refuse_bomb(html, limits)
    tree = HTMLTree.parse(html)
    text = extract_plain_text(
        tree,
        preserve_formatting=True,
        main_content=main_content,
        list_bullets=limits.html.list_bullets,
        alt_texts=limits.html.alt_texts,
        comments=limits.html.comments,
    )
    return " ".join((tree.title or "").split()), text.strip()


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield the one record of an HTML file."""
    title, text = extract_html(read_whole(path, limits), None, limits)
    yield Record("0", "", title, "", text)


def _refuse_bomb(html: str, limits: ReaderLimits) -> None:
    markup, allowed = measure(html.encode("utf-8", "replace")), limits.html
    for what, found, limit in (
        ("nested elements", markup.nesting, allowed.max_nesting),
        ("tags", markup.tags, allowed.max_tags),
        ("elements after error recovery", markup.nodes, allowed.max_nodes),
        ("attributes of one element", markup.attributes, allowed.max_attributes),
    ):
        if found > limit:
            raise RecordRejected(RejectReason.BOMB, f"the page has {found} {what}, more than {limit}")

"""MediaWiki XML dumps, plain or compressed, to one record a page, streaming.

Read are pages of the main namespace; redirects, talk, user and other pages are not documents and leave no
trace. A page has one revision in the dumps we read; of several, the last counts. Templates are stripped
(`wikitext`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote
from xml.parsers import expat

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.ingest.streams import BLOCK_BYTES, open_stream, too_large
from phoenix_assets.ingest.wikitext import parsing_cost, wikitext_to_text
from phoenix_assets.ingest.xml_stream import local_name, parser
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_MEDIA_KEYS: Final = frozenset({"6", "14"})  # File and Category, under whatever name the wiki gives them
_MEDIA_NAMES: Final = frozenset({"file", "image", "media", "category"})
_REDIRECTS: Final = ("#redirect", "#重定向", "#重新導向")
_PAGE_FIELDS: Final = frozenset({"title", "ns", "id", "timestamp", "text"})
_CHUNK_BYTES: Final = BLOCK_BYTES // 4


@dataclass
class _Page:
    fields: dict[str, str] = field(default_factory=dict)
    redirect: bool = False
    too_large: bool = False


@dataclass
class _Dump:
    """State of the parse: what the dump says of itself, the element being read, pages not yet yielded."""

    max_page_bytes: int
    lang: str = ""
    base: str = ""
    namespaces: dict[str, str] = field(default_factory=dict)  # lower-case name -> key
    path: list[str] = field(default_factory=list)
    page: _Page | None = None
    namespace_key: str = ""
    text: list[str] = field(default_factory=list)
    text_size: int = 0
    pages: list[_Page] = field(default_factory=list)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local_name(tag)
        self.path.append(name)
        self.text, self.text_size = [], 0
        if name == "mediawiki":
            self.lang = next((value for key, value in attributes.items() if local_name(key) == "lang"), "")
        elif name == "namespace":
            self.namespace_key = attributes.get("key", "")
        elif name == "page":
            self.page = _Page()
        elif name == "redirect" and self.page:
            self.page.redirect = True

    def data(self, characters: str) -> None:
        if self.text_size > self.max_page_bytes:
            if self.page:
                self.page.too_large = True
            return
        self.text.append(characters)
        self.text_size += len(characters.encode())

    def end(self, _: str) -> None:
        name, content = self.path.pop(), "".join(self.text)
        parent = self.path[-1] if self.path else ""
        self.text, self.text_size = [], 0
        if name == "base":
            self.base = content
        elif name == "namespace":
            self.namespaces[content.strip().lower()] = self.namespace_key
        elif name == "page" and self.page:
            self.pages.append(self.page)
            self.page = None
        elif self.page and name in _PAGE_FIELDS and parent in {"page", "revision"}:
            self.page.fields[name if parent == "page" or name != "id" else "revision"] = content


def read(path: Path, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield a Record or Reject for every article; locators are page ids.

    Raises RecordRejected (truncated, corrupt, bomb) where the dump cannot be read on, after the pages before.
    """
    dump, xml = _Dump(limits.max_record_bytes), parser()
    xml.StartElementHandler, xml.EndElementHandler, xml.CharacterDataHandler = dump.start, dump.end, dump.data
    with open_stream(path, limits) as stream:
        problem: Exception | None = None
        final = False
        while problem is None and not final:
            try:
                block = stream.read(_CHUNK_BYTES)
                final = not block
                xml.Parse(block, final)
            except (expat.ExpatError, RecordRejected) as error:
                problem = error
            pages, dump.pages = dump.pages, []
            for page in pages:
                if (result := _article(page, dump, limits)) is not None:
                    yield result
    if isinstance(problem, RecordRejected):
        raise problem
    if problem is not None:
        reason = RejectReason.TRUNCATED if final else RejectReason.CORRUPT
        raise RecordRejected(reason, f"the dump cannot be read on: {problem}") from problem


def _article(page: _Page, dump: _Dump, limits: ReaderLimits) -> Record | Reject | None:
    title, markup = page.fields.get("title", "").strip(), page.fields.get("text", "")
    locator = page.fields.get("id", "").strip() or title
    if page.redirect or markup.lstrip().lower().startswith(_REDIRECTS) or not _is_article(page, title, dump):
        return None
    payload = markup[: limits.payload_bytes].encode()[: limits.payload_bytes]
    if page.too_large:
        return Reject(locator, RejectReason.TOO_LARGE, too_large(limits.max_record_bytes).detail, payload)
    if parsing_cost(markup) > limits.wiki.max_parsing_cost:
        return Reject(locator, RejectReason.BOMB, f"{title!r} leaves too much markup unclosed", payload)
    media = _MEDIA_NAMES | {name for name, key in dump.namespaces.items() if key in _MEDIA_KEYS}
    text = wikitext_to_text(markup, media)
    if not text:
        return Reject(locator, RejectReason.EMPTY_TEXT, f"{title!r} has no text beside templates", payload)
    meta = {
        "page": locator,
        "revision": page.fields.get("revision", ""),
        "timestamp": page.fields.get("timestamp", ""),
    }
    return Record(locator, _url(dump.base, title), title, dump.lang, text, meta)


def _is_article(page: _Page, title: str, dump: _Dump) -> bool:
    """Tell whether a page is in the main namespace; dumps of the oldest schemas say so only by the title."""
    if "ns" in page.fields:
        return page.fields["ns"].strip() == "0"
    prefix, colon, _ = title.partition(":")
    return not colon or dump.namespaces.get(prefix.strip().lower(), "0") == "0"


def _url(base: str, title: str) -> str:
    """Return a page's address beside that of the main page, which the dump gives as its base."""
    return f"{base.rpartition('/')[0]}/{quote(title.replace(' ', '_'), safe='/:()')}" if base else ""

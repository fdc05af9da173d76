"""The pages that HTML extraction is measured on: a WARC a language, and the main text of each page.

`bench/pages.yaml` names them; their archives are fetched once and cached beside the sample corpus's. A page's gold text
is what is visible in the element that is named there; no extractor under comparison had a say in it. Our thresholds were chosen
with these pages in view.
"""

import datetime
import io
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from resiliparse.parse.html import HTMLTree
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.ingest.config import ReaderLimits, reader_limits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.sample.archives import fetch, read_members
from phoenix_assets.ingest.sample.config import Archive, SampleConfig

PAGES = Path(__file__).with_name("pages.yaml")
NEVER_TEXT = "script, style, noscript, iframe, textarea"
CRAWLED = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


class Page(Config):
    """One page: the archive's member, its language, and the selectors of its main text."""

    archive: str
    member: str
    lang: str
    main: str
    without: str | None = None


class Pages(Config):
    """What `bench/pages.yaml` says; archives that it does not describe are the sample corpus's."""

    archives: dict[str, Archive]
    pages: tuple[Page, ...]


@dataclass(frozen=True)
class PageSet:
    """The files of one language: `warc` with the pages, `gold` with columns `url` and `text`."""

    warc: Path
    gold: Path


def build(cache: Path, folder: Path) -> dict[str, PageSet]:
    """Write the files of every language into `folder`; return them by language. Raises ArchiveError."""
    config, sample, limits = (
        load(Pages, PAGES),
        load(SampleConfig, config_dir() / "sample.yaml"),
        reader_limits(),
    )
    archives = sample.archives | config.archives
    members = {}
    for name in sorted({page.archive for page in config.pages}):
        archive = archives[name]
        members[name] = read_members(fetch(name, archive, cache, print, sample.download_seconds), archive)
    folder.mkdir(parents=True, exist_ok=True)
    return {
        lang: _write(
            [(page, members[page.archive][page.member]) for page in config.pages if page.lang == lang],
            PageSet(folder / f"pages-{lang}.warc.gz", folder / f"pages-{lang}.parquet"),
            limits,
        )
        for lang in sorted({page.lang for page in config.pages})
    }


def _write(pages: list[tuple[Page, bytes]], files: PageSet, limits: ReaderLimits) -> PageSet:
    addresses = [f"https://{page.archive}.example/{page.member}" for page, _ in pages]
    with files.warc.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for address, (_, content) in zip(addresses, pages, strict=True):
            http = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            record = writer.create_warc_record(
                address,
                "response",
                payload=io.BytesIO(content),
                http_headers=http,
                warc_headers_dict={
                    "WARC-Date": CRAWLED.isoformat(),
                    "WARC-Identified-Payload-Type": "text/html",
                },
            )
            writer.write_record(record)
    texts = [_gold(page, content, limits) for page, content in pages]
    pq.write_table(pa.table({"url": addresses, "text": texts}), files.gold)
    return files


def _gold(page: Page, content: bytes, limits: ReaderLimits) -> str:
    document = HTMLTree.parse(decode(content, limits, html=True)[0]).document
    for element in document.query_selector_all(", ".join(filter(None, (NEVER_TEXT, page.without)))):
        element.remove()
    found = [element for element in document.query_selector_all(page.main) if element.text.strip()]
    if not found:
        raise ValueError(f"{page.archive} {page.member}: nothing is {page.main!r}; correct bench/pages.yaml")
    inner = {
        id(element): any(other is not element and other.contains(element) for other in found)
        for element in found
    }
    return "\n".join(element.text for element in found if not inner[id(element)])

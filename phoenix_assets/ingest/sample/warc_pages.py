"""Recipes `pages` and `recrawl`: HTML pages of package archives as the WARC files of a crawl.

Which pages a delivery has depends only on a hash of their paths, so the same path in two languages lands in
the same delivery, and two deliveries with different buckets share no page. A re-crawl shares pages on
purpose: some with a changed sentence, date and footer at another host, some byte for byte at a third.
"""

import hashlib
import html
import io
import re
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from phoenix_assets.ingest.sample.config import BUCKETS, Pages, Recrawl, Site

Members = Mapping[str, Mapping[str, bytes]]  # archive → member path → bytes


@dataclass(frozen=True)
class Page:
    """One fetched page. `path` is relative to its site."""

    url: str
    path: str
    language: str
    body: bytes


@dataclass(frozen=True)
class _Edit:
    dateline: str
    sentence: str
    footer: str


_EDITS = {
    "zh": _Edit("更新日期：2024年7月15日。", "本段内容已按最新版本核对。", "镜像站点，内容每日同步。"),
    "en": _Edit(
        "Last updated: 15 July 2024.",
        "Checked against the latest release.",
        "Mirror site, synchronised daily.",
    ),
}
_PARAGRAPH_END = re.compile(rb"(?:(?<=\.)|(?<=\xe3\x80\x82))</p>")  # after a full stop, Western or Chinese
_NOT_TEXT = re.compile(r"(?s)<(script|style|header|footer|aside|nav)\b.*?</\1>|<!--.*?-->|<[^>]*>")


def position(path: str) -> int:
    """Return the place of a path in a fixed pseudo-random order (63 bits)."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest()) >> 1


def visible_characters(body: bytes) -> int:
    """Return the number of characters of a UTF-8 page outside markup, navigation and white space."""
    return len("".join(html.unescape(_NOT_TEXT.sub(" ", body.decode("utf-8", "replace"))).split()))


def select_pages(spec: Pages, members: Members, limit: int | None) -> list[Page]:
    """Return the pages of a delivery in URL order; with a limit, an equal share from each of its sites."""
    share = None if limit is None else max(1, limit // len(spec.sites))
    pages = [page for site in spec.sites for page in _site_pages(site, spec, members, share)]
    return sorted(pages, key=lambda page: page.url)


def pages(spec: Pages, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return the WARC files (name → bytes) of a crawl."""
    return _warc_files(spec, select_pages(spec, members, limit))


def recrawl(
    spec: Recrawl, earlier: Pages, members: Members, limit: int | None, earlier_limit: int | None
) -> dict[str, bytes]:
    """Return the WARC files of a crawl that has fresh pages and pages of `earlier`, edited or copied."""
    again = [
        page
        for page in sorted(select_pages(earlier, members, earlier_limit), key=lambda page: position(page.url))
        if visible_characters(page.body) >= spec.min_characters
    ]
    total = spec.edited + spec.copied
    scale = 1.0 if limit is None else min(1.0, limit / total)
    edited, copied = (max(1, int(count * scale)) for count in (spec.edited, spec.copied))
    crawled = [
        *select_pages(spec, members, limit),
        *(edit_page(page, spec.edited_base_url) for page in again[:edited]),
        *(_moved(page, spec.copied_base_url) for page in again[edited : edited + copied]),
    ]
    return _warc_files(spec, sorted(crawled, key=lambda page: page.url))


def edit_page(page: Page, base_url: str) -> Page:
    """Return the page as another host shows it later: a dateline, one longer sentence, another footer."""
    edit = _EDITS["zh" if page.language.startswith("zh") else "en"]
    body = page.body
    ends = list(_PARAGRAPH_END.finditer(body))
    if ends:
        end = ends[position(page.url) % len(ends)].start()
        body = body[:end] + f" {edit.sentence}".encode() + body[end:]
    body = body.replace(b"</h1>", f"</h1><p>{edit.dateline}</p>".encode(), 1)
    body = body.replace(b"</footer>", f"<p>{edit.footer}</p></footer>".encode(), 1)
    return replace(_moved(page, base_url), body=body)


def _moved(page: Page, base_url: str) -> Page:
    return replace(page, url=base_url + page.language + "/" + urllib.parse.quote(page.path))


def _site_pages(site: Site, spec: Pages, members: Members, share: int | None) -> list[Page]:
    first, last = spec.buckets
    skipped = tuple(site.root + path for path in site.skip)
    paths = [
        path.removeprefix(site.root)
        for path in members[site.archive]
        if path.startswith(site.root) and path.endswith(".html") and not path.startswith(skipped)
    ]
    chosen = sorted((path for path in paths if first <= position(path) % BUCKETS <= last), key=position)[
        :share
    ]
    return [
        Page(
            url=site.base_url + urllib.parse.quote(path),
            path=path,
            language=site.language,
            body=members[site.archive][site.root + path],
        )
        for path in chosen
    ]


def _warc_files(spec: Pages, crawled: Sequence[Page]) -> dict[str, bytes]:
    files = {}
    for number, start in enumerate(range(0, len(crawled), spec.records_per_file)):
        name = f"{spec.delivery}-{number:05d}.warc.gz"
        buffer = io.BytesIO()
        writer = WARCWriter(buffer, gzip=True)
        writer.write_record(_warcinfo(writer, name, spec))
        for offset, page in enumerate(crawled[start : start + spec.records_per_file], start):
            moment = spec.crawled + timedelta(seconds=offset)
            writer.write_record(_response(writer, page, spec.delivery, moment))
        files[name] = buffer.getvalue()
    return files


def _record_headers(key: str, moment: datetime) -> dict[str, str]:
    identity = uuid.uuid5(uuid.NAMESPACE_URL, key)
    return {"WARC-Record-ID": f"<urn:uuid:{identity}>", "WARC-Date": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _warcinfo(writer: WARCWriter, name: str, spec: Pages) -> object:
    record = writer.create_warcinfo_record(
        name, {"isPartOf": spec.delivery, "format": "WARC File Format 1.0"}
    )
    for header, value in _record_headers(name, spec.crawled).items():
        record.rec_headers.replace_header(header, value)
    return record


def _response(writer: WARCWriter, page: Page, delivery: str, moment: datetime) -> object:
    http = StatusAndHeaders(
        "200 OK",
        [
            ("Date", moment.strftime("%a, %d %b %Y %H:%M:%S GMT")),
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Language", page.language),
            ("Content-Length", str(len(page.body))),
        ],
        protocol="HTTP/1.1",
    )
    return writer.create_warc_record(
        page.url,
        "response",
        payload=io.BytesIO(page.body),
        http_headers=http,
        warc_headers_dict=_record_headers(f"{delivery} {page.url}", moment),
    )

"""Recipes that give TXT files: `man_pages`, `fortunes`, and the chapters of a `novel` (also as one EPUB)."""

import gzip
import html
import io
import json
import re
import uuid
import zipfile

from phoenix_assets.ingest.sample import roff
from phoenix_assets.ingest.sample.config import Fortunes, ManPages, Novel
from phoenix_assets.ingest.sample.warc_pages import Members, position

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]?")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def man_pages(spec: ManPages, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return one UTF-8 TXT a manual page; links to other pages (`.so`) and mdoc pages are left out."""
    files = {}
    for path in sorted(members[spec.archive], key=position):
        if not path.startswith(spec.root) or path.removeprefix(spec.root).startswith(spec.skip):
            continue
        source = gzip.decompress(members[spec.archive][path]).decode("utf-8")
        if source.startswith(".so ") or roff.is_mdoc(source):
            continue
        name = path.removeprefix(spec.root).removesuffix(".gz")
        files[f"{name}.txt"] = roff.render(source).encode()
        if len(files) == limit:
            break
    return files


def fortune_entries(text: str) -> list[str]:
    """Return the entries of a fortune file (lines with `%` separate them) without terminal colours."""
    entries = (_ANSI.sub("", entry).strip("\n").rstrip() for entry in re.split(r"(?m)^%\n?", text))
    return [entry for entry in entries if entry.strip()]


def fortunes(spec: Fortunes, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return TXT files named after collection and number. `limit` bounds the files of each collection."""
    files: dict[str, bytes] = {}
    for member, size in spec.collections.items():
        entries = fortune_entries(members[spec.archive][member].decode("utf-8"))
        parts = ["\n\n".join(entries[start : start + size]) for start in range(0, len(entries), size)][:limit]
        collection = member.rsplit("/", 1)[-1]
        files |= {
            f"{collection}/{number:04d}.txt": f"{part}\n".encode() for number, part in enumerate(parts, 1)
        }
    return files


def chapter_paragraphs(chapter: str) -> list[str]:
    """Return a chapter's title and paragraphs, white space at their edges removed."""
    return [text for line in chapter.splitlines() if (text := " ".join(line.split()))]


def novel(spec: Novel, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return the chapters as TXT files, or as one EPUB when the delivery's format is `epub`."""
    stored: list[str] = json.loads(members[spec.archive][spec.member])
    chapters = [chapter_paragraphs(chapter) for chapter in stored[spec.first - 1 : spec.last]][:limit]
    if spec.format == "epub":
        return {f"{spec.delivery}.epub": _epub(spec.title, spec.author, chapters)}
    return {
        f"{number:03d}.txt": ("\n\n".join(chapter) + "\n").encode()
        for number, chapter in enumerate(chapters, spec.first)
    }


def _epub(title: str, author: str, chapters: list[list[str]]) -> bytes:
    """Return an EPUB 3 file (OCF container, package document, navigation, one XHTML file a chapter)."""
    names = [f"chapter-{number:03d}" for number in range(1, len(chapters) + 1)]
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{title} {author} {len(chapters)}")
    items = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in names
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in names)
    contents = "".join(
        f'<li><a href="{name}.xhtml">{html.escape(chapter[0])}</a></li>'
        for name, chapter in zip(names, chapters, strict=True)
    )
    files = {
        "META-INF/container.xml": '<?xml version="1.0"?>'
        '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/>'
        "</rootfiles></container>",
        "OEBPS/book.opf": '<?xml version="1.0" encoding="utf-8"?>'
        '<package version="3.0" unique-identifier="id" xmlns="http://www.idpf.org/2007/opf">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:uuid:{identity}</dc:identifier><dc:title>{html.escape(title)}</dc:title>'
        f"<dc:creator>{html.escape(author)}</dc:creator><dc:language>zh</dc:language>"
        '<meta property="dcterms:modified">2024-01-01T00:00:00Z</meta></metadata><manifest>'
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        f"{items}</manifest><spine>{spine}</spine></package>",
        "OEBPS/nav.xhtml": _xhtml(
            title, f'<nav xmlns:epub="http://www.idpf.org/2007/ops" epub:type="toc"><ol>{contents}</ol></nav>'
        ),
    }
    for name, (heading, *paragraphs) in zip(names, chapters, strict=True):
        body = "".join(f"<p>{html.escape(text)}</p>\n" for text in paragraphs)
        files[f"OEBPS/{name}.xhtml"] = _xhtml(heading, f"<h1>{html.escape(heading)}</h1>\n{body}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as book:
        book.writestr(zipfile.ZipInfo("mimetype", _ZIP_TIME), b"application/epub+zip", zipfile.ZIP_STORED)
        for path, text in files.items():
            book.writestr(zipfile.ZipInfo(path, _ZIP_TIME), text.encode(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _xhtml(title: str, body: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" '
        f'xml:lang="zh"><head><title>{html.escape(title)}</title></head><body>\n{body}</body></html>\n'
    )

"""Recipes that hand on files nearly as they are: `originals`, `wiki_dump` and `source_tree`."""

import bz2
import fnmatch
import gzip
import io
import re
import tarfile

from phoenix_assets.ingest.sample.config import Originals, SourceTree, WikiDump
from phoenix_assets.ingest.sample.warc_pages import Members, position

_PAGE = re.compile(rb" *<page>.*?</page>\s*?\n", re.S)


def originals(spec: Originals, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return the chosen members by file name; `x.pdf.gz` becomes `x.pdf`."""
    files = {}
    for archive in spec.archives:
        for path, body in members[archive].items():
            if any(fnmatch.fnmatchcase(path, pattern) for pattern in spec.members):
                name = path.rsplit("/", 1)[-1]
                packed = name.endswith(".gz")
                files[name.removesuffix(".gz")] = gzip.decompress(body) if packed else body
    return dict(sorted(files.items())[:limit])


def wiki_dump(spec: WikiDump, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return the dump as bz2; with a limit, only that many of its shortest articles."""
    name = f"{spec.member.rsplit('/', 1)[-1].split('.xml')[0]}.xml.bz2"
    body = members[spec.archive][spec.member]
    if limit is None:
        return {name: body}
    xml = bz2.decompress(body)
    pages = list(_PAGE.finditer(xml))
    articles = [page for page in pages if b"<redirect" not in page[0]]
    kept = sorted(sorted(articles, key=lambda page: len(page[0]))[:limit], key=lambda page: page.start())
    head, tail = xml[: pages[0].start()], xml[pages[-1].end() :]
    return {name: bz2.compress(b"".join([head, *(page[0] for page in kept), tail]))}


def source_tree(spec: SourceTree, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return one tar.gz of the source files: of all, or of as many packages as fit `max_bytes`."""
    sources = {
        path: body for path, body in members[spec.archive].items() if path.startswith(spec.root) and body
    }
    chosen: list[str] = []
    size = 0
    for path in sorted(
        sources, key=lambda path: (position(path.removeprefix(spec.root).split("/")[0]), path)
    ):
        if len(chosen) == limit or size + len(sources[path]) > spec.max_bytes:
            break
        chosen.append(path)
        size += len(sources[path])
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(chosen):
            info = tarfile.TarInfo(f"{spec.top}/{path.removeprefix(spec.root)}")
            info.size, info.mode = len(sources[path]), 0o644
            tar.addfile(info, io.BytesIO(sources[path]))
    return {f"{spec.top}.tar.gz": buffer.getvalue()}

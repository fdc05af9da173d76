"""What datatrove does with a WARC file by default: warcio reads it, trafilatura finds the main text.

The settings are those of datatrove's extractor: precision favoured, no comments, repeated segments removed. In its favour the extractor is called as a function, without datatrove's subprocess and its time limit; bytes that are
no UTF-8 are decoded as trafilatura detects them.
"""

from typing import Any

from bench.token_f1 import mean_token_f1


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Import, and go over the file once."""
    run(params)
    return params


def run(state: dict[str, Any]) -> dict[str, str]:
    """Return the text of each page by its address."""
    from trafilatura import extract
    from warcio.archiveiterator import ArchiveIterator

    texts = {}
    with open(state["warc"], "rb") as stream:  # noqa: PTH123 - as datatrove opens it
        for record in ArchiveIterator(stream):
            if record.rec_type == "response":
                page = _decoded(record.content_stream().read())
                text = extract(page, favor_precision=True, include_comments=False, deduplicate=True)
                texts[record.rec_headers.get("WARC-Target-URI")] = text or ""
    return texts


def report(state: dict[str, Any], result: dict[str, str]) -> dict[str, Any]:
    """Return how many pages were read, and how well."""
    return {"documents": len(result), "token_f1": mean_token_f1(state["gold"], result, state["lang"])}


def _decoded(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content

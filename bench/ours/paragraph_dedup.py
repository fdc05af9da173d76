"""Our paragraphs: texts cut into lines, each hashed, and what an index compares of them."""

from typing import Any

from bench.documents import megabytes, read

SHARD = 5000  # documents


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and compile the kernel."""
    import polars as pl

    from phoenix_assets.config import config_dir, load
    from phoenix_assets.dedup.config import DedupConfig

    texts = read(params["documents"], params["lang"]).texts
    rules = load(DedupConfig, config_dir() / "dedup.yaml").passage_rules(params["source"])
    state = {"texts": pl.Series(texts), "rules": rules, "megabytes": megabytes(texts)}
    run({**state, "texts": state["texts"].head(10)})
    return state


def run(state: dict[str, Any]) -> int:
    """Return how many paragraphs there are."""
    from phoenix_assets.dedup.passages.config import Passage
    from phoenix_assets.dedup.passages.cutting import compared_passages
    from phoenix_assets.dedup.passages.prints import document_prints

    texts, paragraphs = state["texts"], 0
    for start in range(0, len(texts), SHARD):
        passages, compared = compared_passages(texts.slice(start, SHARD), Passage.PARAGRAPH, state["rules"])
        document_prints(passages, compared)
        paragraphs += len(passages.hashes)
    return paragraphs


def report(state: dict[str, Any], result: int) -> dict[str, Any]:
    """Return how much was hashed."""
    return {"documents": len(state["texts"]), "megabytes": state["megabytes"], "paragraphs": result}

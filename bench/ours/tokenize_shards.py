"""Texts to token shards with their trace index, shuffled. Each pass begins with an encoder that has seen no text."""

import tempfile
from pathlib import Path
from typing import Any

from bench.documents import read_texts


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents, give them ids, compile the copying of segments."""
    import polars as pl

    from phoenix_assets.config import config_dir, load
    from phoenix_assets.schema import document_id
    from phoenix_assets.tokens.config import TokensConfig

    texts = read_texts(params["documents"], params["lang"])
    documents = pl.DataFrame(
        {
            "doc_id": [document_id("bench", "d", str(number)) for number in range(len(texts))],
            "text": texts,
        }
    ).with_columns(source=pl.lit("bench"), delivery=pl.lit("d"), component=pl.lit("all"), copies=1)
    state = {
        "documents": documents.with_columns(lang=pl.lit(params["lang"])),
        "tokenizer": Path(params["tokenizer"]),
        "eod": params["eod"],
        "config": load(TokensConfig, config_dir() / "tokens.yaml"),
    }
    run({**state, "documents": state["documents"].head(10)})
    return state


def run(state: dict[str, Any]) -> Any:
    """Write the shards; return the trace's rows."""
    from phoenix_assets.tokens import encoding
    from phoenix_assets.tokens.shards import write_shards

    encoding.forget()
    with tempfile.TemporaryDirectory() as folder:
        return write_shards(
            [state["documents"]], state["tokenizer"], Path(folder), "train", state["eod"], state["config"]
        )


def report(state: dict[str, Any], result: Any) -> dict[str, Any]:
    """Return how many tokens were written, ends of document left out."""
    return {"documents": result.height, "tokens": int(result["tokens"].sum()) - result.height}

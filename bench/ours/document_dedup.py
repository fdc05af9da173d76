"""Our near-duplicates from texts to decisions on disk: signatures, index and decisions as the assets write them."""

import tempfile
from pathlib import Path
from typing import Any

from bench.documents import read

SHARD = 5000


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and compile the kernels."""
    import polars as pl

    from bench.ours.near_index import NearIndex

    texts = read(params["documents"], params["lang"]).texts
    documents = pl.DataFrame({"doc_id": [f"{number:032x}" for number in range(len(texts))], "text": texts})
    state = {
        "index": NearIndex.of(params["group"]),
        "documents": documents.with_columns(lang=pl.lit(params["lang"])),
    }
    run({**state, "documents": state["documents"].head(10)})
    return state


def run(state: dict[str, Any]) -> list[int]:
    """Return for each document the number of the one that it stands behind."""
    import numpy as np

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        delivery = state["index"].sign(state["documents"].iter_slices(SHARD), folder / "signatures", "all")
        stored, _ = state["index"].decide([delivery], folder)
        return stored.index.gather("survivors", np.arange(stored.index.size)).tolist()


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return the number of the document that each one stands behind, its own when it is kept."""
    return {"documents": len(result), "labels": result}

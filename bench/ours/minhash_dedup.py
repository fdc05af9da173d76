"""Our near-duplicates, from texts to decisions: signatures, and the index that the dedup group keeps on disk."""

import tempfile
from pathlib import Path
from typing import Any

from bench.documents import read, recall


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and compile the kernels."""
    import polars as pl

    from phoenix_assets.config import config_dir, load
    from phoenix_assets.dedup.config import DedupConfig

    config = load(DedupConfig, config_dir() / "dedup.yaml")
    documents = read(params["documents"], params["lang"])
    state = {
        "signature": config.signature,
        "index": config.index,
        "group": config.groups[params["group"]],
        "read": documents,
        "texts": pl.Series(documents.texts),
        "at_least": params["at_least"],
    }
    run({**state, "texts": state["texts"].head(10)})
    return state


def run(state: dict[str, Any]) -> list[int]:
    """Return for each document the number of the one that it stands behind."""
    import numpy as np
    import polars as pl

    from phoenix_assets.dedup import granularity, minhash
    from phoenix_assets.dedup.config import Granularity
    from phoenix_assets.dedup.index import Index

    group, signature, settings = state["group"], state["signature"], state["index"]
    texts = state["texts"]
    documents = pl.DataFrame(
        {
            "doc_id": [f"{number:032x}" for number in range(len(texts))],
            "lang": "",
            "delivery_number": 0,
            "print": minhash.to_binary(minhash.signatures(texts, signature)),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        index = Index(
            Path(folder),
            granularity.bands(Granularity.NEAR, group),
            granularity.least(Granularity.NEAR, group, signature),
            group.compared,
            settings.segment_documents,
        )
        index.add(
            granularity.block(block, Granularity.NEAR, group, signature)
            for block in documents.iter_slices(settings.block_documents)
        )
        return index.gather("survivors", np.arange(index.size)).tolist()


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return recall of the injected near duplicates, and the share of documents that are left."""
    return {
        "documents": len(result),
        "recall": recall(result, state["read"], at_least=state["at_least"]),
        "kept": len(set(result)) / len(result),
    }

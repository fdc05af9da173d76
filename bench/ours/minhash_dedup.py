"""Our near-duplicate clusters, from texts to labels: signatures, banding with verified pairs, components."""

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
        "group": config.groups[params["group"]],
        "read": documents,
        "texts": pl.Series(documents.texts),
        "at_least": params["at_least"],
    }
    run({**state, "texts": state["texts"].head(10)})
    return state


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    from phoenix_assets.dedup import components, lsh, minhash

    group = state["group"]
    signatures = minhash.signatures(state["texts"], state["signature"])
    edges = lsh.edges(
        signatures, bands=group.bands, rows=group.rows, threshold=group.threshold, compared=group.compared
    )
    return components.components(len(signatures), edges["a"].to_numpy(), edges["b"].to_numpy()).tolist()


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return recall of the injected near duplicates, and the share of documents that are left."""
    return {
        "documents": len(result),
        "recall": recall(result, state["read"], at_least=state["at_least"]),
        "kept": len(set(result)) / len(result),
    }

"""Data-Juicer: near-duplicate clusters by its MinHash deduplicator, from texts.

English is cut at white space, Chinese into characters, as it recommends, with as many bands and rows as ours. Texts are
handed over as Python dictionaries: only the clustering goes through its dataset layer.
"""

from typing import Any

from bench.documents import read
from bench.peers.data_juicer import use_local_models


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and build the operator."""
    use_local_models(params)
    from data_juicer.ops.deduplicator import document_minhash_deduplicator as module
    from loguru import logger

    logger.remove()

    class Recorded(module.UnionFind):  # the clusters, which the operator keeps to itself
        last: Any = None

        def __init__(self) -> None:
            super().__init__()
            Recorded.last = self

    module.UnionFind = Recorded
    operator = module.DocumentMinhashDeduplicator(
        tokenization="character" if params["lang"] == "zh" else "space",
        window_size=params["shingle"],
        num_permutations=params["permutations"],
        num_bands=params["bands"],
        num_rows_per_band=params["rows"],
    )
    texts = read(params["documents"], params["lang"]).texts
    return {**params, "operator": operator, "clusters": Recorded, "texts": texts}


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    from data_juicer.utils.constant import HashKeys
    from datasets import Dataset

    operator, texts = state["operator"], state["texts"]
    sketches = [operator.compute_hash({"text": text})[HashKeys.minhash] for text in texts]
    operator.process(Dataset.from_dict({"text": texts, HashKeys.minhash: sketches}))
    find = state["clusters"].last.find
    return [find(position) for position in range(len(texts))]


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return the cluster label of each document: the number of the one that is kept for it."""
    return {"documents": len(result), "labels": result}

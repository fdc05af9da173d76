"""gaoya: near-duplicate clusters by MinHash-LSH, from texts.

Its string index cuts, hashes and compares in Rust, with as many bands and rows as ours; shingles are 5 words of English,
5 characters of Chinese, by its own analyzers. Clusters are connected components of what the index returns, and pairs below
the threshold are not returned. It hashes a document twice: to insert and to query it.
"""

from typing import Any

from bench.clusters import Components
from bench.documents import read


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    from gaoya.minhash import MinHashStringIndex

    return {**params, "index": MinHashStringIndex, "texts": read(params["documents"], params["lang"]).texts}


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    texts, size = state["texts"], state["shingle"]
    index = state["index"](
        hash_size=32,
        jaccard_threshold=state["threshold"],
        num_bands=state["bands"],
        band_size=state["rows"],
        analyzer="char" if state["lang"] == "zh" else "word",
        lowercase=True,
        ngram_range=(size, size),
        id_container="smallvec",
    )
    index.par_bulk_insert_docs(list(range(len(texts))), texts)
    components = Components(len(texts))
    for position, found in enumerate(index.par_bulk_query(texts)):
        components.join(position, found)
    return components.labels()


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return the cluster label of each document: the number of the one that is kept for it."""
    return {"documents": len(result), "labels": result}

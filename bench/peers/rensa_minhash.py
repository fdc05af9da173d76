"""rensa: near-duplicate clusters by MinHash-LSH, from texts.

Its full-set sketch (R-MinHash) through its batch interface, its LSH with as many bands and rows as ours,
clusters as connected components of what its index returns. Its "rho" pipeline samples tokens, so it isn't the
same sketch, and is left out. Shingles are made in Python, by the fastest way we know: it takes token lists,
not texts.
"""

from typing import Any

from bench import shingles
from bench.clusters import Components
from bench.documents import read, recall


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    import rensa

    return {**params, "rensa": rensa, "read": read(params["documents"], params["lang"])}


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    rensa, lang, size = state["rensa"], state["lang"], state["shingle"]
    sets = (list(shingles.fastest(lang, text, size)) for text in state["read"].texts)
    sketches = rensa.RMinHash.from_token_sets(sets, num_perm=state["permutations"], seed=state["seed"])
    index = rensa.RMinHashLSH(state["threshold"], state["permutations"], state["bands"])
    index.insert_many(sketches)
    components = Components(len(sketches))
    for position, found in enumerate(index.query_all(sketches)):
        components.join(position, found)
    return components.labels()


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return recall of the injected near duplicates, and the share of documents that are left."""
    return {
        "documents": len(result),
        "recall": recall(result, state["read"], at_least=state["at_least"]),
        "kept": len(set(result)) / len(result),
    }

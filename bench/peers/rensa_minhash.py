"""rensa: near-duplicate clusters by MinHash-LSH, from texts.

Its full-set sketch (R-MinHash) through its batch interface, its LSH with as many bands and rows as ours,
clusters as connected components of what its index returns. Its "rho" pipeline samples tokens, so it isn't the
same sketch, and is left out. Shingles are made in Python, by the fastest way we know: it takes token lists,
not texts.
"""

from typing import Any

from bench import shingles
from bench.clusters import Components
from bench.documents import read


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    import rensa

    return {**params, "rensa": rensa, "texts": read(params["documents"], params["lang"]).texts}


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    rensa, lang, size = state["rensa"], state["lang"], state["shingle"]
    sets = (list(shingles.fastest(lang, text, size)) for text in state["texts"])
    sketches = rensa.RMinHash.from_token_sets(sets, num_perm=state["permutations"], seed=state["seed"])
    index = rensa.RMinHashLSH(state["threshold"], state["permutations"], state["bands"])
    index.insert_many(sketches)
    components = Components(len(sketches))
    for position, found in enumerate(index.query_all(sketches)):
        components.join(position, found)
    return components.labels()


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return the cluster label of each document: the number of the one that is kept for it."""
    return {"documents": len(result), "labels": result}

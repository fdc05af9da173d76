"""datasketch: near-duplicate clusters by MinHash-LSH, from texts.

Its default scheme (affine32) through its generator, its LSH with as many bands and rows as ours, clusters as
connected components of what its index returns; its default hash function. Shingles are made in Python: it
takes bytes, not texts.
"""

from typing import Any

from bench import shingles
from bench.clusters import Components
from bench.documents import read


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    import datasketch
    from datasketch.hashfunc import sha1_hash32

    texts = read(params["documents"], params["lang"]).texts
    return {**params, "datasketch": datasketch, "texts": texts, "hashfunc": sha1_hash32}


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    datasketch, lang, size, texts = state["datasketch"], state["lang"], state["shingle"], state["texts"]
    sets = ([shingle.encode() for shingle in shingles.fastest(lang, text, size)] for text in texts)
    index = datasketch.MinHashLSH(num_perm=state["permutations"], params=(state["bands"], state["rows"]))
    components = Components(len(texts))
    sketches = datasketch.MinHash.generator(
        sets, num_perm=state["permutations"], seed=state["seed"], hashfunc=state["hashfunc"]
    )
    for position, sketch in enumerate(sketches):
        components.join(position, index.query(sketch))
        index.insert(position, sketch, check_duplication=False)
    return components.labels()


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return the cluster label of each document: the number of the one that is kept for it."""
    return {"documents": len(result), "labels": result}

"""datasketch: near-duplicate clusters by MinHash-LSH, from texts.

Its default scheme (affine32) through its generator, its LSH with as many bands and rows as ours, clusters as
connected components of what its index returns; its default hash function. Shingles are made in Python: it
takes bytes, not texts.
"""

from typing import Any

from bench import shingles
from bench.clusters import Components
from bench.documents import read, recall


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    import datasketch
    from datasketch.hashfunc import sha1_hash32

    read_documents = read(params["documents"], params["lang"])
    return {**params, "datasketch": datasketch, "read": read_documents, "hashfunc": sha1_hash32}


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    datasketch, lang, size, texts = state["datasketch"], state["lang"], state["shingle"], state["read"].texts
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
    """Return recall of the injected near duplicates, and the share of documents that are left."""
    return {
        "documents": len(result),
        "recall": recall(result, state["read"], at_least=state["at_least"]),
        "kept": len(set(result)) / len(result),
    }

"""text-dedup: near-duplicate clusters by MinHash-LSH, from texts.

Its embedding function and its union-find, called as its program calls them, with as many bands and rows as ours and the
faster of its hash functions. It cuts at what is no letter or digit, so Chinese gets a blank between characters first. In
the tool's favour: no cost of its dataset layer.
"""

from collections import defaultdict
from typing import Any

from bench import shingles
from bench.documents import read


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents, draw the permutations."""
    from text_dedup import minhash

    np = minhash.np
    prime, shape = np.uint64((1 << 61) - 1), (params["permutations"],)
    ranges = [(band * params["rows"], (band + 1) * params["rows"]) for band in range(params["bands"])]
    settings = {
        "num_perm": params["permutations"],
        "ngram_size": params["shingle"],
        "min_length": 1,
        "hashranges": ranges,
        "permutations": (
            minhash.RNG.randint(1, prime, size=shape, dtype=np.uint64),
            minhash.RNG.randint(0, prime, size=shape, dtype=np.uint64),
        ),
        "hash_func": minhash.xxh3_32hash,
        "dtype": np.uint64,
        "max_hash": np.uint32((1 << 32) - 1),
        "modulo_prime": prime,
    }
    texts = read(params["documents"], params["lang"]).texts
    return {**params, "minhash": minhash, "settings": settings, "texts": texts}


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    minhash, lang = state["minhash"], state["lang"]
    tables: list[dict[bytes, set[int]]] = [defaultdict(set) for _ in range(state["bands"])]
    for position, text in enumerate(state["texts"]):
        row = minhash.embed_func(shingles.spaced(lang, text), position, **state["settings"])
        for key, table in zip(row[minhash.SIGNATURE_COLUMN], tables, strict=True):
            table[key].add(position)
    clusters = minhash.UnionFind()
    for table in tables:
        for cluster in table.values():
            if len(cluster) > 1:
                first = min(cluster)
                for position in cluster:
                    clusters.union(position, first)
    return [clusters.find(position) for position in range(len(state["texts"]))]


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return the cluster label of each document: the number of the one that is kept for it."""
    return {"documents": len(result), "labels": result}

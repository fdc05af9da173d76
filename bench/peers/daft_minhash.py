"""daft: near-duplicate clusters by MinHash-LSH, from texts.

Its minhash expression over shingles of 5 words, after its own normalisation; it cuts at white space, so Chinese gets a
blank between characters first. Bands are groups of its dataframe, by their hashes; clusters are connected components of
the groups.
"""

from typing import Any

from bench import shingles
from bench.clusters import Components
from bench.documents import read


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents; start the engine."""
    import daft

    daft.set_runner_native(num_threads=1)
    state = {**params, "daft": daft, "texts": read(params["documents"], params["lang"]).texts}
    run({**state, "texts": state["texts"][:10]})
    return state


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    daft, lang = state["daft"], state["lang"]
    col, functions = daft.col, daft.functions
    texts = [shingles.spaced(lang, text) for text in state["texts"]]
    text = col("text")
    if lang != "zh":
        text = functions.normalize(text, remove_punct=True, lowercase=True, white_space=True)
    sketch = functions.minhash(
        text,
        num_hashes=state["permutations"],
        ngram_size=state["shingle"],
        seed=state["seed"],
        hash_function="xxhash",
    )
    groups = (
        daft.from_pydict({"position": list(range(len(texts))), "text": texts})
        .select("position", functions.chunk(sketch, state["rows"]).alias("rows"))
        .with_column("band", daft.lit(list(range(state["bands"]))))
        .explode("rows", "band")
        .select("position", "band", col("rows").hash().alias("key"))
        .groupby("band", "key")
        .agg(col("position").list_agg())
        .where(functions.list_count(col("position")) > 1)
    )
    components = Components(len(texts))
    for positions in groups.to_pydict()["position"]:
        components.join(positions[0], positions[1:])
    return components.labels()


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return the cluster label of each document: the number of the one that is kept for it."""
    return {"documents": len(result), "labels": result}

"""datatrove: near-duplicate clusters by its MinHash pipeline, from texts.

Its four steps on files, with as many buckets and hashes in each as ours has bands and rows, xxHash for shingles. In the
tool's favour its word tokenizer, which costs most of its time, is a bare splitter, as in `bench/peers/datatrove.py`.
"""

import struct
import tempfile
from pathlib import Path
from typing import Any

from bench.documents import read
from bench.peers.datatrove import hash_of_text, splitter


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import minhash
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.logging import logger

    logger.remove()
    texts = read(params["documents"], params["lang"]).texts
    config = minhash.MinhashConfig(
        n_grams=params["shingle"],
        num_buckets=params["bands"],
        hashes_per_bucket=params["rows"],
        seed=params["seed"],
        hash_config=HashConfig(precision=64, hash_fc="xxhash"),
    )
    return {
        "minhash": minhash,
        "config": config,
        "splitter": splitter(params["lang"]),
        "documents": [Document(text=text, id=str(number)) for number, text in enumerate(texts)],
    }


def run(state: dict[str, Any]) -> list[int]:
    """Return a cluster label for each document."""
    minhash, config = state["minhash"], state["config"]
    with tempfile.TemporaryDirectory() as name:
        signatures, buckets, clusters = (f"{name}/{part}" for part in ("signatures", "buckets", "clusters"))
        step = minhash.MinhashDedupSignature(signatures, config, language=state["splitter"])
        step._hash_func = hash_of_text
        step.run(iter(state["documents"]))
        for bucket in range(config.num_buckets):
            minhash.MinhashDedupBuckets(signatures, buckets, config=config, lines_to_buffer=-1).run(
                None, bucket, config.num_buckets
            )
        minhash.MinhashDedupCluster(buckets, clusters, config, save_cluster_id=True, lines_to_buffer=-1).run()
        for _ in minhash.MinhashDedupFilter(clusters).run(iter(state["documents"])):
            pass
        return _labels(Path(clusters, "000000.clusters"), len(state["documents"]))


def report(state: dict[str, Any], result: list[int]) -> dict[str, Any]:
    """Return the cluster label of each document: the number of the one that is kept for it."""
    return {"documents": len(result), "labels": result}


def _labels(path: Path, documents: int) -> list[int]:
    labels, first = list(range(documents)), {}
    for position, cluster in struct.iter_unpack("<2I", path.read_bytes()):
        labels[position] = first.setdefault(cluster, position)
    return labels

"""datatrove: the hash of every line, by its exact sentence deduplication, in runs of one line and with its fastest hash.

Only its hashing is counted, not the files that it sorts them into.
"""

from typing import Any

from bench.documents import megabytes, read
from bench.peers.datatrove import hash_of_text, splitter


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import sentence_dedup
    from datatrove.utils.hashing import HashConfig

    texts = read(params["documents"], params["lang"]).texts
    config = sentence_dedup.SentDedupConfig(
        n_sentences=1, split_sentences=False, hash_config=HashConfig(precision=64, hash_fc="xxhash")
    )
    step = sentence_dedup.SentenceDedupSignature(
        params["folder"], config=config, language=splitter(params["lang"])
    )
    step.hash_fc = hash_of_text
    documents = [Document(text=text, id=str(number)) for number, text in enumerate(texts)]
    return {"step": step, "documents": documents, "megabytes": megabytes(texts)}


def run(state: dict[str, Any]) -> int:
    """Return how many paragraphs there are."""
    hashes = state["step"].get_hashes
    return sum(len(hashes(document, number)) for number, document in enumerate(state["documents"]))


def report(state: dict[str, Any], result: int) -> dict[str, Any]:
    """Return how much was hashed."""
    return {"documents": len(state["documents"]), "megabytes": state["megabytes"], "paragraphs": result}

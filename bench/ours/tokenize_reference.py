"""The bare `tokenizers` library: one batch of all texts, and nothing written."""

from typing import Any

from bench.documents import read_texts


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and load the tokenizer."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(params["tokenizer"])
    tokenizer.encode_special_tokens = True
    return {"texts": read_texts(params["documents"], params["lang"]), "tokenizer": tokenizer}


def run(state: dict[str, Any]) -> list[Any]:
    """Return the encodings."""
    return list(state["tokenizer"].encode_batch_fast(state["texts"], add_special_tokens=False))


def report(state: dict[str, Any], result: list[Any]) -> dict[str, Any]:
    """Return how many tokens the texts have."""
    return {"documents": len(result), "tokens": sum(len(encoding.ids) for encoding in result)}

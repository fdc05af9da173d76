"""The bare `fastokens` library: one batch of all texts, and nothing written. Each pass begins with a new tokenizer."""

from typing import Any

from bench.documents import read_texts


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    state = {"texts": read_texts(params["documents"], params["lang"]), "tokenizer": params["tokenizer"]}
    run({**state, "texts": state["texts"][:10]})
    return state


def run(state: dict[str, Any]) -> bytes:
    """Return the ids of all texts, end to end."""
    import fastokens

    tokenizer = fastokens.Tokenizer.from_file(state["tokenizer"])
    ids, _ = tokenizer.encode_batch_flat(state["texts"], add_special_tokens=False, split_special_tokens=True)
    return bytes(ids)


def report(state: dict[str, Any], result: bytes) -> dict[str, Any]:
    """Return how many tokens the texts have."""
    return {"documents": len(state["texts"]), "tokens": len(result) // 4}

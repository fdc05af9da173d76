"""datatrove's DocumentTokenizer: texts to its token files, not shuffled, which would cost it a second pass."""

import tempfile
from typing import Any

from bench.documents import read_texts


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents into the tool's own type."""
    from datatrove.data import Document

    texts = read_texts(params["documents"], params["lang"])
    state = {
        "documents": [Document(text=text, id=str(number)) for number, text in enumerate(texts)],
        "tokenizer": params["tokenizer"],
        "eod": params["eod"],
    }
    run({**state, "documents": state["documents"][:10]})
    return state


def run(state: dict[str, Any]) -> int:
    """Write the token files; return how many tokens they have."""
    from datatrove.pipeline.tokens import DocumentTokenizer

    with tempfile.TemporaryDirectory() as folder:
        step = DocumentTokenizer(
            folder, tokenizer_name_or_path=state["tokenizer"], eos_token=state["eod"], shuffle_documents=False
        )
        step.run(iter(state["documents"]), rank=0, world_size=1)
        return int(step.stats["tokens"].total)


def report(state: dict[str, Any], result: int) -> dict[str, Any]:
    """Return how many tokens were written, ends of document left out."""
    return {"documents": len(state["documents"]), "tokens": result - len(state["documents"])}

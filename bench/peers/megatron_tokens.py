"""Megatron's `tools/preprocess_data.py`, whose loop the package leaves out: each document encoded alone, then added.

The encoder is `tokenizers`, as that tool takes it; the files are written by Megatron-Core's IndexedDatasetBuilder. It
needs PyTorch, which the peers' environment has not: this runs in the product's, whose tests read with Megatron-Core.
"""

import tempfile
from pathlib import Path
from typing import Any

from bench.documents import read_texts


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and load the tokenizer and Megatron's builder."""
    from tokenizers import Tokenizer

    state = {
        "texts": read_texts(params["documents"], params["lang"]),
        "tokenizer": Tokenizer.from_file(params["tokenizer"]),
        "eod": params["eod"],
    }
    run({**state, "texts": state["texts"][:10]})
    return state


def run(state: dict[str, Any]) -> int:
    """Write `.bin` and `.idx`; return how many tokens they have."""
    from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder

    tokenizer, tokens = state["tokenizer"], 0
    eod = tokenizer.token_to_id(state["eod"])
    dtype = DType.optimal_dtype(tokenizer.get_vocab_size())
    with tempfile.TemporaryDirectory() as folder:
        builder = IndexedDatasetBuilder(str(Path(folder, "train.bin")), dtype=dtype)
        for text in state["texts"]:
            ids = [*tokenizer.encode(text, add_special_tokens=False).ids, eod]
            builder.add_document(ids, [len(ids)])
            tokens += len(ids)
        builder.finalize(str(Path(folder, "train.idx")))
    return tokens


def report(state: dict[str, Any], result: int) -> dict[str, Any]:
    """Return how many tokens were written, ends of document left out."""
    return {"documents": len(state["texts"]), "tokens": result - len(state["texts"])}

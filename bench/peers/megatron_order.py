"""Megatron-Core's GPTDataset indices for one epoch: documents shuffled, samples cut, samples shuffled.

Follows `core/datasets/gpt_dataset.py` (`_build_document_index`, `_build_shuffle_index`) and calls the C++ helper of
the wheel for the sample index. The package itself is not imported: that would need PyTorch.
"""

import importlib.machinery
import importlib.util
from pathlib import Path
from typing import Any

from bench.orders import lengths


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Draw the documents' lengths and load the helper."""
    (folder,) = importlib.util.find_spec("megatron").submodule_search_locations or [None]
    (library,) = Path(folder, "core", "datasets").glob("helpers_cpp*.so")
    loader = importlib.machinery.ExtensionFileLoader("helpers_cpp", str(library))
    helpers = importlib.util.module_from_spec(importlib.util.spec_from_loader("helpers_cpp", loader))
    loader.exec_module(helpers)
    return {**params, "lengths": lengths(params["documents"], params["seed"]), "helpers": helpers}


def run(state: dict[str, Any]) -> Any:
    """Return document index, sample index and shuffle index."""
    import numpy as np

    sizes = state["lengths"]
    drawn = np.random.RandomState(state["seed"])
    documents = np.mgrid[0:1, 0 : len(sizes)][1]
    documents[:] = np.arange(len(sizes), dtype=np.int32)
    documents = documents.reshape(-1).astype(np.int32)
    drawn.shuffle(documents)
    tokens = int(sizes.sum(dtype=np.int64))
    samples = state["helpers"].build_sample_idx_int32(
        sizes, documents, state["sequence_length"], 1, tokens, True, 1
    )
    order = np.arange(len(samples) - 1, dtype=np.uint32)
    drawn.shuffle(order)
    return documents, samples, order


def report(state: dict[str, Any], result: Any) -> dict[str, Any]:
    """Return how many sequences were put in order."""
    return {"documents": len(state["lengths"]), "sequences": len(result[2])}

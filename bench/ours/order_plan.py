"""Our data-order plan with the options that are asked for, from the documents' lengths to the arrays of the plan."""

from typing import Any

from bench.orders import lengths

COMPONENTS = ("books", "small", "others")
PARTS = 20  # each of the first two components is one of as many
CHAPTERS = 400  # documents, of which one in PARTS belongs to the book


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Draw the documents' lengths and compile what is compiled."""
    import numpy as np
    import polars as pl

    from phoenix_assets.order.config import DataOrder, OrderConfig
    from phoenix_assets.order.stream import Belonging, Corpus

    sizes = lengths(params["documents"], params["seed"])
    number = np.arange(len(sizes), dtype=np.int32)
    origins = np.random.default_rng(params["seed"]).integers(0, PARTS, len(sizes), dtype=np.uint8)
    wholes = np.where(origins == COMPONENTS.index("books"), number // CHAPTERS, -1).astype(np.int32)
    corpus = Corpus(
        lengths=sizes,
        origins=np.minimum(origins, len(COMPONENTS) - 1),
        kinds=pl.DataFrame({"component": COMPONENTS, "copies": [1] * 3, "copy": [0] * 3}),
        max_epochs=dict.fromkeys(COMPONENTS, 1),
        belonging=Belonging(wholes, number) if "whole" in params["options"] else None,
    )
    order = DataOrder(
        mixture="synthetic",
        sequence_length=params["sequence_length"],
        global_batch=params["global_batch"],
        seed=params["seed"],
        options=OrderConfig.model_validate(params["options"]),
    )
    return {"corpus": corpus, "order": order}


def run(state: dict[str, Any]) -> Any:
    """Return the plan."""
    from dataclasses import replace

    from phoenix_assets.order.plan import build_plan

    return build_plan(replace(state["corpus"]), state["order"])[0]  # a new one: it keeps what it has counted


def report(state: dict[str, Any], result: Any) -> dict[str, Any]:
    """Return how many sequences were put in order."""
    return {"documents": len(state["corpus"].lengths), "sequences": len(result.places)}

"""Our data-order plan with nothing asked for but the shuffle, from the documents' lengths to the arrays of the plan."""

from typing import Any

from bench.orders import lengths


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Draw the documents' lengths and compile what is compiled."""
    import numpy as np
    import polars as pl

    from phoenix_assets.order.config import DataOrder, OrderConfig
    from phoenix_assets.order.stream import Corpus

    sizes = lengths(params["documents"], params["seed"])
    corpus = Corpus(
        lengths=sizes,
        origins=np.zeros(len(sizes), dtype=np.uint8),
        kinds=pl.DataFrame({"component": ["all"], "copies": [1], "copy": [0]}),
        max_epochs={"all": 1},
    )
    order = DataOrder(
        mixture="synthetic",
        sequence_length=params["sequence_length"],
        global_batch=params["global_batch"],
        seed=params["seed"],
        options=OrderConfig(),
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

"""Our trace of one training step: the spans of its global batch, each with its document, from the trace index."""

from pathlib import Path
from typing import Any

from bench.orders import trace_index


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Write the index and a shuffled plan over it, unless they are there, and import."""
    import numpy as np

    from phoenix_assets.tokens.trace import TraceIndex
    from training_jobs.data_order import OrderPlan, open_plan, sequence_count

    folder = Path(params["folder"])
    trace_index(folder, params["documents"])
    if not (folder / "order" / "plan.json").exists():
        tokens = TraceIndex(folder, "train").tokens
        count = sequence_count(tokens, params["sequence_length"])
        places = np.random.default_rng(0).permutation(count).astype(np.uint32)
        OrderPlan(
            params["sequence_length"],
            params["global_batch"],
            tokens,
            places,
            np.zeros(1, dtype=np.int64),
            np.array([tokens]),
        ).save(folder / "order")
    open_plan(folder / "order")
    return params


def run(state: dict[str, Any]) -> Any:
    """Open the index and the plan, and return the spans of a step."""
    from phoenix_assets.audit.exposure import Run, served
    from phoenix_assets.tokens.trace import TraceIndex
    from training_jobs.data_order import open_plan

    folder = Path(state["folder"])
    return served(Run(open_plan(folder / "order")[0], TraceIndex(folder, "train")), [state["step"]])


def report(state: dict[str, Any], result: Any) -> dict[str, Any]:
    """Return how many spans there are and which documents they are of."""
    return {
        "documents": result["doc_id"].n_unique(),
        "spans": result.height,
        "sum": int.from_bytes(b"".join(map(bytes.fromhex, result["doc_id"].unique().sort()[:8])), "big"),
    }

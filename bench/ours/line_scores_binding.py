"""The same lines as `bench/ours/line_scores.py`, ready as bytes: a call of KenLM's binding each."""

from typing import Any

from bench.ours import line_scores


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Tokenise the documents, load the model, make a bytes object of each line."""
    import kenlm
    import polars as pl

    lines = line_scores.tokenized(params)
    model = kenlm.Model(params["kenlm"][params["lang"]])
    return {"lines": lines, "score": model.score, "bytes": lines.lines.cast(pl.Binary).to_list()}


def run(state: dict[str, Any]) -> Any:
    """Return a score a line."""
    import numpy as np

    return np.fromiter(map(state["score"], state["bytes"]), np.float64, len(state["bytes"]))


report = line_scores.report

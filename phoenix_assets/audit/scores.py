"""The checkpoints of a run and what their evaluations say."""

from typing import Any, Final

import polars as pl

from phoenix_assets.audit.runs import TrainedRun
from resources.lake import Lake
from resources.ledger import LineageLedger

_METRICS: Final = ("lang", "perplexity", "bits_per_char", "recall_top1", "recall_top5")


def scores_of(lake: Lake, ledger: LineageLedger, run: TrainedRun, *, since: int = 0) -> list[dict[str, Any]]:
    """Return step, data_version and scores (a row a language) of the checkpoints from a step on, as plain values."""
    evaluations = ledger.heads(f"eval/{run.experiment}")
    found = []
    for step, stored in run.checkpoints.items():
        if step < since:
            continue
        evaluation = evaluations.get(stored.record.partition)
        own = evaluation is not None and stored.as_input() in evaluation.record.inputs
        rows = (
            lake.read_commit(evaluation.as_input())
            .filter(pl.col("source") == "all")
            .select(_METRICS)
            .collect()
            if evaluation is not None and own
            else pl.DataFrame()
        )
        found.append(
            {
                "checkpoint": f"checkpoints/{run.experiment}[{stored.record.partition}]",
                "step": step,
                "data_version": stored.record.data_version,
                "scores": rows.sort("lang").to_dicts() if rows.height else [],
            }
        )
    return found

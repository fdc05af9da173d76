"""The trace of training steps: the documents in their global batches, with deliveries and licences."""

from typing import Any

import polars as pl

from phoenix_assets.audit.exposure import served
from phoenix_assets.audit.runs import run_behind
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import StoredRecord
from resources.lake import Lake
from resources.ledger import LineageLedger


def trace_steps(lake: Lake, ledger: LineageLedger, experiment: str, first: int, last: int) -> dict[str, Any]:
    """Return what steps `first` … `last` of an experiment train on, as plain JSON values.

    It is known from the data order on, before the run has begun. Raises LineageError when there is no order
    yet, or the plan has no such steps.
    """
    start = _newest(ledger, experiment)
    records = [start, *ledger.records_of(start.record.inputs)]
    run = run_behind(lake, records)
    if not 1 <= first <= last <= run.plan.steps:
        raise LineageError(
            f"{experiment}: steps {first} to {last} are not in its data order, which has 1 to {run.plan.steps}"
        )
    spans = served(run, range(first, last + 1))
    licences = {(term.source, term.delivery): term.licence for term in start.record.licences}
    deliveries = (
        spans.group_by("source", "delivery")
        .agg(documents=pl.col("doc_id").n_unique(), tokens=pl.col("tokens").sum())
        .sort("tokens", "source", "delivery", descending=[True, False, False])
    )
    return {
        "experiment": experiment,
        "steps": [first, last],
        "made_from": [
            {"asset": stored.record.asset, "data_version": stored.record.data_version} for stored in records
        ],
        "deliveries": [
            {**row, "licence": licences.get((row["source"], row["delivery"]), "")}
            for row in deliveries.to_dicts()
        ],
        "spans": spans.to_dicts(),
    }


def _newest(ledger: LineageLedger, experiment: str) -> StoredRecord:
    """Return the newest run of the experiment, or its data order when it was never trained."""
    for asset in (f"train/{experiment}", f"order/{experiment}"):
        if (found := ledger.head(asset, "")) is not None:
            return found
    raise LineageError(f"order/{experiment} holds nothing; materialise it first, or check the name")

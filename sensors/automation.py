"""The automation sensor: it asks for what the planner finds due, by the lake's own lineage records.

Dagster's declarative conditions see events; this sees content. What was tried with the same code on the same inputs is
not asked for again, however it ended: a failure is a person's to look at, and the next change makes new work of it.
Work that another daemon has just asked for is not asked for either.
"""

import time

import dagster as dg

from phoenix_assets.ingest.landing import load_landing
from resources.operations import claim
from resources.phoenix import Phoenix
from resources.planner import Batch, Planner
from resources.runs import tags
from resources.work import Place, in_progress, unsound, was_tried


def automation_sensor() -> dg.SensorDefinition:
    """Return the sensor over the whole graph; it never starts what is made on request (raw data, training)."""
    settings = load_landing()

    @dg.sensor(
        name="automation",
        asset_selection=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.automation_interval_seconds,
        description="Asks for what is missing, or was made by other code or from other content than there is now.",
    )
    def automation(context: dg.SensorEvaluationContext, phoenix: Phoenix) -> dg.SensorResult:
        assert context.repository_def is not None  # noqa: S101 - the code server always has one
        planner = Planner(context.repository_def, phoenix.ledger, context.instance)
        batches = {batch.key: batch for batch in due(planner)[: settings.runs_per_tick]}
        claimed = claim(phoenix.path, batches, seconds=settings.claim_seconds, now=time.time())
        return dg.SensorResult(
            run_requests=[_request(batch) for work, batch in batches.items() if work in claimed]
        )

    return automation


def due(planner: Planner) -> list[Batch]:
    """Return the runs to start now."""
    # What is at work is looked up before the lake: a run that ends in between is seen by its data.
    busy = in_progress(planner.instance, planner.graph) | unsound(planner.instance, planner.graph)
    automated = planner.automated()
    given_up: set[Place] = set()
    while True:
        batches = planner.ready(planner.stale(automated, given_up=given_up, retrain=False), busy=busy)
        failed = [batch for batch in batches if was_tried(planner.instance, batch.key)]
        if not failed:
            return batches
        given_up |= {item.place for batch in failed for item in batch.items}


def _request(batch: Batch) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=batch.key,
        asset_selection=batch.assets,
        partition_key=batch.partition or None,
        tags=tags(batch),
    )

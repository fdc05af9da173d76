"""The OpenLineage sensor: sends the events of what has been committed since it last looked."""

import itertools
import json
from pathlib import Path

import dagster as dg

from resources.openlineage import Events, OpenLineageConfig, open_client, unsent
from resources.phoenix import Phoenix


def openlineage_sensor(settings: OpenLineageConfig) -> dg.SensorDefinition:
    """Return the sensor; its cursor holds the storage version of each table that was sent."""

    @dg.sensor(
        name="openlineage",
        asset_selection=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.interval_seconds,
        description="Sends OpenLineage events of every materialisation to the configured transport.",
    )
    def openlineage(context: dg.SensorEvaluationContext, phoenix: Phoenix) -> dg.SensorResult:
        assert context.repository_def is not None  # noqa: S101 - the code server always has one
        sent: dict[str, int] = json.loads(context.cursor or "{}")
        events = Events(phoenix.ledger, settings.namespace, context.repository_def.asset_graph)
        count = send(events, settings, phoenix.path, sent)
        return dg.SensorResult(
            skip_reason=f"sent the events of {count} materialisations",
            cursor=json.dumps(sent, sort_keys=True),
        )

    return openlineage


def send(events: Events, settings: OpenLineageConfig, home: Path, sent: dict[str, int]) -> int:
    """Send the events of some records that were not `sent`, and note these there; return how many there were."""
    new = list(itertools.islice(unsent(events.ledger, sent), settings.records_per_tick))
    if new:
        client = open_client(settings, home)
        for stored in new:
            for event in events.of(stored):
                client.emit(event)
            sent[stored.record.asset] = stored.storage_version
        client.close()
    return len(new)

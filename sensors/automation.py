"""The one automation sensor: it evaluates every asset's condition, declared in `resources/declare.py`."""

import dagster as dg

from phoenix_assets.ingest.landing import load_landing


def automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """Return the sensor over the whole graph; it never starts assets without one (raw, training)."""
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=load_landing().automation_interval_seconds,
        description="Asks for what is missing or outdated, as the assets' conditions say.",
    )

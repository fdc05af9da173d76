"""The one automation sensor: it evaluates every asset's condition, declared in `resources/declare.py`."""

import dagster as dg


def automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """Return the sensor over the whole graph; assets without a condition (raw, training) are never started by it."""
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=10,
    )

"""The watchdog: tells people when an input has been newer than what is made from it for too long."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg

from resources.alerts import Alert, load_alerts
from resources.overdue import Overdue, overdue
from resources.phoenix import Phoenix
from resources.planner import Planner

KIND = "behind"


def watchdog_sensor() -> dg.SensorDefinition:
    """Return the sensor that compares the whole graph with the lake, and only ever tells."""
    settings = load_alerts().watchdog

    @dg.sensor(
        name="watchdog",
        asset_selection=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.interval_seconds,
        description="Tells people when an input has been newer than what is made from it for too long.",
    )
    def watchdog(context: dg.SensorEvaluationContext, phoenix: Phoenix) -> dg.SkipReason:
        assert context.repository_def is not None  # noqa: S101 - the code server always has one
        planner = Planner(context.repository_def, phoenix.ledger, context.instance)
        now = datetime.now(UTC)
        behind = overdue(planner, timedelta(seconds=settings.newer_for_seconds), now)
        phoenix.alerts.follow(KIND, alerts_of(behind, now))
        return dg.SkipReason(f"{len(behind)} asset partitions have been behind their input for too long")

    return watchdog


def alerts_of(behind: Iterable[Overdue], now: datetime) -> dict[str, Alert]:
    """Return an alert for each partition that is behind, by its case."""
    told = (Alert(case=f"{KIND} {one.case}", message=_message(one, now)) for one in behind)
    return {alert.case: alert for alert in told}


def _message(one: Overdue, now: datetime) -> str:
    place = f"{one.asset}[{one.partition}]" if one.partition else one.asset
    hours = (now - one.since).total_seconds() / 3600
    return (
        f"{one.input} has been newer than {place} for {hours:.1f} h, since {one.since:%Y-%m-%d %H:%M} UTC; "
        f"look at the last run of {one.asset}, then run: phoenix materialize {one.asset} --only"
    )

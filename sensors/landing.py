"""The landing sensor: a complete delivery becomes a partition and a run; a bad one goes to quarantine with a reason."""

import time
from collections.abc import Iterable, Mapping

import dagster as dg

from phoenix_assets.ingest.landing import Arrival, LandingConfig, load_landing
from phoenix_assets.sources import Source
from resources.alerts import Alert
from resources.arrivals import accept, is_taken, reject
from resources.declare import deliveries
from resources.landing_register import LandingRegister
from resources.landing_watch import Seen, look
from resources.operations import claim
from resources.phoenix import Phoenix
from resources.work import WORK_TAG, was_tried


def job_name(source: str) -> str:
    """Return the name of the job that registers a delivery of `source`."""
    return f"register_{source}"


def landing_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """Return the sensor that watches `$PHOENIX_HOME/landing` and the other landing places.

    Its cursor says from where the next look goes on; what was dealt with is in the landing register.
    """
    settings = load_landing()

    @dg.sensor(
        name="landing",
        jobs=[  # one a source: a job has one partition set
            dg.define_asset_job(job_name(name), selection=[dg.AssetKey([name, "raw"])]) for name in sources
        ],
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.interval_seconds,
        description="Takes deliveries that landed completely; quarantines those that cannot be taken.",
    )
    def landing(context: dg.SensorEvaluationContext, phoenix: Phoenix) -> dg.SensorResult:
        found = look(phoenix.path, phoenix.landing, sources, settings, context.cursor)
        for arrival in found.newly_rejected:
            context.log.error(f"{arrival.name}: {arrival.reason}: {arrival.detail}")
        reject(phoenix, found.newly_rejected)
        _tell_of_places(phoenix, found.unreachable)
        taken = _to_register(phoenix, context.instance, found.to_do, settings)
        accept(phoenix, taken)
        added: dict[str, list[str]] = {}
        for arrival in taken:
            added.setdefault(arrival.source, []).append(arrival.delivery)
        return dg.SensorResult(
            run_requests=[_register(arrival) for arrival in taken],
            dynamic_partitions_requests=[
                deliveries(source).build_add_request(sorted(keys)) for source, keys in sorted(added.items())
            ],
            cursor=found.cursor,
        )

    return landing


def _to_register(
    phoenix: Phoenix, instance: dg.DagsterInstance, to_do: Iterable[Seen], settings: LandingConfig
) -> list[Arrival]:
    """Return the deliveries to register now: not those that have a run, or that somebody else has just asked for."""
    register = LandingRegister(phoenix.path)
    wanted: dict[str, Arrival] = {}
    done: list[Arrival] = []
    for seen in to_do:
        if len(wanted) == settings.deliveries_per_tick:
            break
        work = _work(seen.arrival)
        if was_tried(instance, work) or is_taken(phoenix, instance, seen):
            done.append(seen.arrival)
        else:
            wanted[work] = seen.arrival
    register.deal_with(done)
    claimed = claim(phoenix.path, wanted, seconds=settings.claim_seconds, now=time.time())
    granted = [arrival for work, arrival in wanted.items() if work in claimed]
    register.ask_for(granted)
    return granted


def _tell_of_places(phoenix: Phoenix, unreachable: Mapping[str, str]) -> None:
    told = [
        Alert(case=f"landing {url}", message=f"cannot be listed: {why}") for url, why in unreachable.items()
    ]
    phoenix.alerts.follow("landing", {alert.case: alert for alert in told})


def _work(arrival: Arrival) -> str:
    return f"{arrival.name}@{arrival.fingerprint}"


def _register(arrival: Arrival) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=_work(arrival),
        job_name=job_name(arrival.source),
        partition_key=arrival.delivery,
        tags={"phoenix/delivery": arrival.name, WORK_TAG: _work(arrival)},
    )

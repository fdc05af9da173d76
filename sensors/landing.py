"""The landing sensor: a complete delivery becomes a partition and a run; a bad one goes to quarantine with a reason."""

import json
from collections.abc import Mapping

import dagster as dg

from phoenix_assets.ingest.landing import Arrival, Standing, load_landing, scan
from phoenix_assets.sources import Source
from resources.arrivals import is_registered
from resources.declare import deliveries
from resources.phoenix import Phoenix
from resources.quarantine import quarantine_delivery


def job_name(source: str) -> str:
    """Return the name of the job that registers a delivery of `source`."""
    return f"register_{source}"


def landing_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """Return the sensor that watches `$PHOENIX_HOME/landing`; its cursor holds what it has dealt with."""
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
        seen: dict[str, str] = json.loads(context.cursor or "{}")
        requests: list[dg.RunRequest] = []
        added: dict[str, list[str]] = {}
        arrivals = scan(
            phoenix.landing, sources, settle_seconds=settings.settle_seconds, known=set(seen.values())
        )
        for arrival in arrivals:
            if len(requests) >= settings.deliveries_per_tick:
                break
            name = f"{arrival.source}/{arrival.delivery}"
            if arrival.standing is Standing.WAITS:
                continue
            new = name not in seen
            seen[name] = arrival.fingerprint
            if arrival.standing is Standing.REJECTED:
                quarantine_delivery(phoenix.lake, arrival)
                context.log.error(f"{name}: {arrival.reason}: {arrival.detail}")
            elif not (new and _taken_elsewhere(phoenix, context.instance, arrival)):
                added.setdefault(arrival.source, []).append(arrival.delivery)
                requests.append(_register(arrival))
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=[
                deliveries(source).build_add_request(sorted(keys)) for source, keys in sorted(added.items())
            ],
            cursor=json.dumps(seen, sort_keys=True),
        )

    return landing


def _taken_elsewhere(phoenix: Phoenix, instance: dg.DagsterInstance, arrival: Arrival) -> bool:
    """Return whether a delivery that this sensor has never seen is registered, for instance by the command line."""
    stored = phoenix.ledger.head(f"{arrival.source}/raw", arrival.delivery)
    known = instance.has_dynamic_partition(deliveries(arrival.source).name or "", arrival.delivery)
    return known and stored is not None and is_registered(phoenix.landing, stored.record)


def _register(arrival: Arrival) -> dg.RunRequest:
    name = f"{arrival.source}/{arrival.delivery}"
    return dg.RunRequest(
        run_key=f"{name}@{arrival.fingerprint}",
        job_name=job_name(arrival.source),
        partition_key=arrival.delivery,
        tags={"phoenix/delivery": name},
    )

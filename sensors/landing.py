"""The landing sensor: a complete delivery becomes a partition and a run; a bad one goes to quarantine with a reason."""

import json
from collections.abc import Mapping
from typing import Final

import dagster as dg

from phoenix_assets.sources import Source
from resources.declare import deliveries
from resources.phoenix import Phoenix
from resources.quarantine import quarantine_delivery

_PER_TICK: Final = (
    50  # deliveries taken by one evaluation, so that it stays far below the sensor's time limit
)


def job_name(source: str) -> str:
    """Return the name of the job that registers a delivery of `source`."""
    return f"register_{source}"


def landing_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """Return the sensor that watches `$PHOENIX_HOME/landing`; its cursor holds what it has dealt with."""

    @dg.sensor(
        name="landing",
        jobs=[  # one a source: a job has one partition set
            dg.define_asset_job(job_name(name), selection=[dg.AssetKey([name, "raw"])]) for name in sources
        ],
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=10,
        description="Takes deliveries that landed completely; quarantines those that cannot be taken.",
    )
    def landing(context: dg.SensorEvaluationContext, phoenix: Phoenix) -> dg.SensorResult:
        from phoenix_assets.ingest.landing import Standing, load_landing, scan

        seen: dict[str, str] = json.loads(context.cursor or "{}")
        requests: list[dg.RunRequest] = []
        added: dict[str, list[str]] = {}
        arrivals = scan(
            phoenix.landing, sources, settle_seconds=load_landing().settle_seconds, known=set(seen.values())
        )
        for arrival in arrivals:
            if len(requests) >= _PER_TICK:
                break
            name = f"{arrival.source}/{arrival.delivery}"
            if arrival.standing is Standing.WAITS:
                continue
            seen[name] = arrival.fingerprint
            if arrival.standing is Standing.REJECTED:
                quarantine_delivery(phoenix.lake, arrival)
                context.log.error(f"{name}: {arrival.reason}: {arrival.detail}")
                continue
            added.setdefault(arrival.source, []).append(arrival.delivery)
            requests.append(
                dg.RunRequest(
                    run_key=f"{name}@{arrival.fingerprint}",
                    job_name=job_name(arrival.source),
                    partition_key=arrival.delivery,
                    tags={"phoenix/delivery": name},
                )
            )
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=[
                deliveries(source).build_add_request(sorted(keys)) for source, keys in sorted(added.items())
            ],
            cursor=json.dumps(seen, sort_keys=True),
        )

    return landing

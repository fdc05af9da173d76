"""Take what has landed, outside the daemon: register partitions for complete deliveries, quarantine bad ones."""

from collections.abc import Iterator, Mapping

import dagster as dg

from phoenix_assets.ingest.landing import Standing, load_landing, scan
from phoenix_assets.sources import Source
from resources.declare import deliveries
from resources.phoenix import Phoenix
from resources.quarantine import quarantine_delivery


def take(
    phoenix: Phoenix, instance: dg.DagsterInstance, sources: Mapping[str, Source]
) -> Iterator[tuple[str, str]]:
    """Yield (source/delivery, problem) for each delivery that is new here; an empty problem means that it was taken."""
    for arrival in scan(phoenix.landing, sources, settle_seconds=load_landing().settle_seconds):
        name = f"{arrival.source}/{arrival.delivery}"
        if arrival.standing is Standing.REJECTED:
            quarantine_delivery(phoenix.lake, arrival)
            yield name, f"rejected, {arrival.reason}: {arrival.detail}"
        elif arrival.standing is Standing.WAITS:
            yield name, f"still arriving: {arrival.detail}"
        else:
            partitions = deliveries(arrival.source).name or ""
            if not instance.has_dynamic_partition(partitions, arrival.delivery):
                instance.add_dynamic_partitions(partitions, [arrival.delivery])
                yield name, ""

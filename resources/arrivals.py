"""Take what has landed, outside the daemon: register partitions for complete deliveries, quarantine bad ones."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import dagster as dg

from phoenix_assets.ingest.delivery import DeliveryRejected, manifest_sha256
from phoenix_assets.ingest.landing import Standing, load_landing, scan
from phoenix_assets.lineage import LineageRecord
from phoenix_assets.sources import Source
from resources.declare import deliveries
from resources.phoenix import Phoenix
from resources.quarantine import quarantine_delivery

MANIFEST: Final = (
    "manifest_sha256"  # in the configuration of a raw record: the manifest that it was registered by
)


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


def is_registered(landing: Path, record: LineageRecord) -> bool:
    """Return whether a raw record was made by the manifest that lies in the landing folder now."""
    return record.config.get(MANIFEST) == _landed_manifest(landing, record)


def is_replaced(landing: Path, record: LineageRecord) -> bool:
    """Return whether a record is of a delivery that has another manifest in the landing folder now.

    Files that were taken may be removed from the landing folder: a folder that is not there replaces nothing.
    """
    registered, landed = record.config.get(MANIFEST), _landed_manifest(landing, record)
    return registered is not None and landed is not None and registered != landed


def _landed_manifest(landing: Path, record: LineageRecord) -> str | None:
    try:
        return manifest_sha256(landing / record.asset.partition("/")[0] / record.partition)
    except DeliveryRejected:
        return None

"""Deliveries that could not be taken, in the table `quarantine/landing`: one row a delivery folder, the newest reason."""

import polars as pl

from phoenix_assets.ingest.landing import Arrival
from phoenix_assets.schema import QUARANTINE
from resources.lake import Lake, stage

LANDING_QUARANTINE = "quarantine/landing"


def quarantine_delivery(lake: Lake, arrival: Arrival) -> None:
    """Record why a delivery was not taken; its files stay where the vendor put them."""
    row = pl.DataFrame(
        {
            "source": [arrival.source],
            "delivery": [arrival.delivery],
            "file": ["delivery.yaml"],
            "locator": [""],
            "stage": ["landing"],
            "reason": [arrival.reason.value if arrival.reason else ""],
            "detail": [arrival.detail],
            "payload": [b""],
        },
        schema=QUARANTINE,
    )
    known = quarantined_deliveries(lake)
    rows = pl.concat([known, row]).unique(["source", "delivery"], keep="last").sort("source", "delivery")
    if rows.equals(known.sort("source", "delivery")):
        return
    staged = stage(lake.table_dir(LANDING_QUARANTINE), rows, column=None, partition="")
    lake.commit(LANDING_QUARANTINE, QUARANTINE, [staged], column=None, partitions=[""])


def quarantined_deliveries(lake: Lake) -> pl.DataFrame:
    """Return QUARANTINE rows of the deliveries that could not be taken."""
    if not lake.exists(LANDING_QUARANTINE):
        return pl.DataFrame(schema=QUARANTINE)
    return pl.read_delta(str(lake.table_dir(LANDING_QUARANTINE))).select(QUARANTINE.names())


def quarantined(lake: Lake) -> pl.DataFrame:
    """Return every QUARANTINE row in the lake: deliveries, files and records, with their reasons."""
    tables = [asset for asset in lake.assets() if asset.startswith("quarantine/")]
    frames = [pl.read_delta(str(lake.table_dir(asset))).select(QUARANTINE.names()) for asset in tables]
    rows = pl.concat([pl.DataFrame(schema=QUARANTINE), *frames])
    return rows.sort("source", "delivery", "file", "locator")

"""Deliveries that could not be taken, in the table `quarantine/landing`: one row a delivery folder, the newest reason."""

from collections.abc import Callable, Iterable

import polars as pl

from phoenix_assets.errors import Overtaken
from phoenix_assets.ingest.landing import Arrival
from phoenix_assets.schema import QUARANTINE
from resources.lake import Lake, stage

LANDING_QUARANTINE = "quarantine/landing"
_NAME = ("source", "delivery", "file")


def quarantine_deliveries(lake: Lake, arrivals: Iterable[Arrival]) -> None:
    """Record why deliveries were not taken; their files stay where the vendor put them."""
    rows = pl.DataFrame(
        [
            (
                arrival.source, arrival.delivery, arrival.manifest_path, "", "landing",
                arrival.reason.value if arrival.reason else "", arrival.detail, b"",
            )
            for arrival in arrivals
        ],
        schema=QUARANTINE,
        orient="row",
    )  # fmt: skip
    if rows.height:
        _change(lake, lambda known: pl.concat([known, rows]).unique(_NAME, keep="last"))


def release_deliveries(lake: Lake, arrivals: Iterable[Arrival]) -> None:
    """Forget why deliveries were not taken: they were corrected."""
    names = [(arrival.source, arrival.delivery, arrival.manifest_path) for arrival in arrivals]
    corrected = pl.DataFrame(names, schema=dict.fromkeys(_NAME, pl.String), orient="row")
    if corrected.height and lake.exists(LANDING_QUARANTINE):
        _change(lake, lambda known: known.join(corrected, on=_NAME, how="anti"))


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


def _change(lake: Lake, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Write the table anew, again from its newest version while others get in between; not when nothing changes."""
    while True:
        version = lake.version(LANDING_QUARANTINE)
        known = quarantined_deliveries(lake).sort(_NAME)
        rows = change(known).sort(_NAME)
        if rows.equals(known):
            return
        staged = stage(lake.table_dir(LANDING_QUARANTINE), rows, column=None, partition="")
        try:
            lake.commit(LANDING_QUARANTINE, QUARANTINE, [staged], column=None, partitions=[""], after=version)
        except Overtaken:
            (lake.table_dir(LANDING_QUARANTINE) / staged.path).unlink(missing_ok=True)
        else:
            return

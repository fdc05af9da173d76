"""What of Dagster's event log has to go when texts are erased: the samples of rows that materialisations show.

Nothing but the UI reads the log; the lake's lineage records know all of it, whether it is pruned or not.
"""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import dagster as dg
from dagster import AssetKey, DagsterInstance
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from phoenix_assets.lineage import StoredRecord
from phoenix_assets.schema import Stage
from resources.erasures import all_erased, erased_key
from resources.instance import open_instance
from resources.lake import Lake
from resources.ledger import LineageLedger


def runs_at_work(home: Path) -> list[str]:
    """Return the runs that are queued or at work."""
    runs = open_instance(home).get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    return [run.run_id for run in runs]


def forget_samples(lake: Lake, ledger: LineageLedger) -> int:
    """Delete the runs that made what holds erased texts, with all that they logged; return how many there were.

    What is newest of what they made is reported again, without samples.
    """
    erased = all_erased(lake)
    if not erased:
        return 0
    instance = open_instance(lake.home)
    records = [stored for name in erased for stored in _made_with_it(ledger, *name)]
    runs = {stored.record.run_id for stored in records if instance.has_run(stored.record.run_id)}
    heads = [stored for found in ledger.all_heads().values() for stored in found.values()]
    for run_id in sorted(runs):
        instance.delete_run(run_id)
        shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    for stored in heads:
        if stored.record.run_id in runs:
            _report(instance, stored)
    _compact(Path(instance.root_directory))
    return len(runs)


def _made_with_it(ledger: LineageLedger, source: str, delivery: str) -> list[StoredRecord]:
    """Return the records of a delivery's stages, and of the group's indexes, from before it was last erased from."""
    tombstone = ledger.head(erased_key(source), delivery)
    assets = [f"{source}/{stage}" for stage in Stage]
    before = tombstone.record.finished if tombstone else ""
    own = ledger.history(assets, delivery)
    groups = [
        stored
        for stored in ledger.history(ledger.lake.assets("dedup"))
        if any(
            (one.asset.partition("/")[0], one.partition) == (source, delivery) for one in stored.record.inputs
        )
    ]
    return [stored for stored in (*own, *groups) if stored.record.finished < before]


def _report(instance: DagsterInstance, stored: StoredRecord) -> None:
    record = stored.record
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            AssetKey(record.asset.split("/")),
            partition=record.partition or None,
            metadata={**record.counts, "phoenix/record_id": record.record_id},
            tags={"dagster/data_version": record.data_version, "dagster/code_version": record.code_version},
        )
    )


def _compact(folder: Path) -> None:
    """Rewrite SQLite's files: deleted rows lie in them until then."""
    for path in sorted(folder.rglob("*.db")):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")

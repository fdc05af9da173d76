"""What Dagster's instance knows of the work on asset partitions: in progress, tried before, found unsound."""

from typing import Final, TypeAlias

import dagster as dg
from dagster import AssetKey, DagsterInstance
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG

from phoenix_assets.lineage import UNPARTITIONED
from resources.declare import CONSERVATION

Place: TypeAlias = tuple[str, str]  # asset, partition
WHY_TAG: Final = "phoenix/why"
WORK_TAG: Final = "phoenix/work"  # the key of the batch that a run makes


def in_progress(instance: DagsterInstance, graph: AssetGraph) -> set[Place]:
    """Return the asset partitions of the runs and backfills that are queued or at work."""
    busy: set[Place] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        partition = run.tags.get(PARTITION_NAME_TAG)
        for key in run.asset_selection or ():
            busy |= _places(instance, graph, key, partition)
    for backfill in instance.get_backfills(BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])):
        for key in backfill.asset_selection or ():
            busy |= _places(instance, graph, key, None)
    return busy


def _places(instance: DagsterInstance, graph: AssetGraph, key: AssetKey, partition: str | None) -> set[Place]:
    asset = key.to_user_string()
    definition = graph.get(key).partitions_def if graph.has(key) else None
    if definition is None:
        return {(asset, UNPARTITIONED)}
    if partition is not None:
        return {(asset, partition)}
    return {(asset, one) for one in definition.get_partition_keys(dynamic_partitions_store=instance)}


def unsound(instance: DagsterInstance, graph: AssetGraph) -> set[Place]:
    """Return the asset partitions whose newest data lost or invented rows: nothing may be made from them."""
    checks = [key for key in graph.asset_check_keys if key.name == CONSERVATION]
    return {
        (info.check_key.asset_key.to_user_string(), info.partition_key or UNPARTITIONED)
        for info in instance.event_log_storage.get_asset_check_partition_info(checks)
        if info.latest_execution_status is AssetCheckExecutionRecordStatus.FAILED and info.is_current
    }


def was_tried(instance: DagsterInstance, work: str) -> bool:
    """Return whether a run has had just this work to do: it would end as it did before."""
    return bool(instance.get_runs(dg.RunsFilter(tags={WORK_TAG: work}), limit=1))

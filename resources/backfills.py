"""Backfills, by Dagster's own machinery: its daemon runs them, layer by layer, and its UI shows and cancels them.

What is made: partitions of the assets that are named and, on request, of everything after them that is made without
anybody asking; of unpartitioned assets among these the whole, after all its inputs of the backfill. Other sources are left
out: what a backfill changes for them makes them stale, which the automation sees when the backfill has ended.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.partitions.subset.default import DefaultPartitionsSubset
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, PartitionBackfill
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.storage.tags import PARENT_BACKFILL_ID_TAG, ROOT_BACKFILL_ID_TAG
from dagster._core.utils import make_new_backfill_id

from phoenix_assets.errors import PhoenixError
from resources.declare import AUTOMATION_TAG, Automation

_GIVEN_UP: Final = (DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class Scope:
    """What a backfill makes: partitions of assets, and unpartitioned assets."""

    partitions: dict[dg.AssetKey, frozenset[str]]
    whole: frozenset[dg.AssetKey]

    @property
    def count(self) -> int:
        """How many asset partitions that are."""
        return sum(map(len, self.partitions.values())) + len(self.whole)


def scope(
    graph: AssetGraph,
    instance: dg.DagsterInstance,
    assets: Collection[str],
    *,
    deliveries: str = "*",
    downstream: bool = False,
    failed: bool = False,
) -> Scope:
    """Return what of `assets` (and of what comes after them) there is for deliveries that match a pattern.

    `failed`: only partitions of `assets` whose newest run failed, and what comes after these. Raises PhoenixError for
    assets that are not in the graph, and when nothing is left.
    """
    named = [dg.AssetKey(asset.split("/")) for asset in assets]
    if unknown := [key.to_user_string() for key in named if not graph.has(key)]:
        raise PhoenixError(
            f"no asset {', '.join(unknown)}; `phoenix materialize --dry-run` lists those there are"
        )
    keys = [*named, *(_after(graph, named) if downstream else ())]
    sets = {graph.get(key).partitions_def for key in named}
    partitions: dict[dg.AssetKey, frozenset[str]] = {}
    whole: set[dg.AssetKey] = set()
    kept: dict[dg.PartitionsDefinition | None, frozenset[str]] = {}
    for key in keys:
        definition = graph.get(key).partitions_def
        if definition is None:
            whole.add(key)
        elif definition in sets:
            if definition not in kept:
                there = definition.get_partition_keys(dynamic_partitions_store=instance)
                matching = frozenset(one for one in there if fnmatchcase(one, deliveries))
                kept[definition] = matching & _failed(graph, instance, named) if failed else matching
            partitions[key] = kept[definition]
    found = Scope({key: names for key, names in partitions.items() if names}, frozenset(whole))
    if not found.partitions and (partitions or not found.whole):
        raise PhoenixError(
            f"nothing of {', '.join(assets)} is a delivery like {deliveries!r}{' that failed' if failed else ''}"
        )
    return found


def request(instance: dg.DagsterInstance, wanted: Scope, title: str) -> str:
    """Ask the daemon for a backfill of `wanted`; return its id."""
    partitions = {key: DefaultPartitionsSubset(set(names)) for key, names in wanted.partitions.items()}
    subset = AssetGraphSubset(partitions, set(wanted.whole))  # type: ignore[call-arg]
    return _add(instance, subset, title, {})


def retry(instance: dg.DagsterInstance, graph: AssetGraph, backfill_id: str) -> str:
    """Ask for a backfill of what another one has not made; return its id.

    Raises PhoenixError when there is no such backfill, when it is still at work, and when it has made everything.
    """
    backfill = instance.get_backfill(backfill_id)
    if backfill is None:
        raise PhoenixError(f"no backfill {backfill_id}; the UI lists them under Runs › Backfills")
    if backfill.status not in BULK_ACTION_TERMINAL_STATUSES:
        raise PhoenixError(f"backfill {backfill_id} is still at work; cancel it, or wait")
    data = backfill.get_asset_backfill_data(graph)
    missing = data.target_subset - data.materialized_subset
    if not missing.num_partitions_and_non_partitioned_assets:
        raise PhoenixError(f"backfill {backfill_id} has made everything")
    root = backfill.tags.get(ROOT_BACKFILL_ID_TAG, backfill_id)
    tags = {**backfill.tags, PARENT_BACKFILL_ID_TAG: backfill_id, ROOT_BACKFILL_ID_TAG: root}
    return _add(instance, missing, f"What is left of {backfill.title or backfill_id}", tags)


def _add(instance: dg.DagsterInstance, subset: AssetGraphSubset, title: str, tags: dict[str, str]) -> str:
    backfill_id: str = make_new_backfill_id()
    instance.add_backfill(
        PartitionBackfill.from_asset_graph_subset(
            backfill_id=backfill_id,
            backfill_timestamp=time.time(),
            tags=tags,
            dynamic_partitions_store=instance,
            asset_graph_subset=subset,
            title=title,
            description=None,
            run_config=None,
        )
    )
    return backfill_id


def _after(graph: AssetGraph, keys: Iterable[dg.AssetKey]) -> list[dg.AssetKey]:
    """Return what is made of `keys` without anybody asking, directly and indirectly."""
    found: dict[dg.AssetKey, None] = {}
    frontier = list(keys)
    while frontier:
        children = {child for key in frontier for child in graph.get(key).child_keys}
        frontier = [
            child
            for child in sorted(children, key=dg.AssetKey.to_user_string)
            if child not in found and graph.get(child).tags.get(AUTOMATION_TAG) == Automation.ALWAYS
        ]
        found |= dict.fromkeys(frontier)
    return [key for key in found if key not in set(keys)]


def _failed(graph: AssetGraph, instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> frozenset[str]:
    """Return the partitions of `keys` whose newest run failed or was cancelled before it made them."""
    storage = instance.event_log_storage
    tried: dict[str, str] = {}
    for key in keys:
        attempts = storage.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        tried |= {partition: run for partition, (run, _) in attempts.items()}
    if not tried:
        return frozenset()
    runs = dg.RunsFilter(run_ids=sorted(set(tried.values())), statuses=list(_GIVEN_UP))
    given_up = {run.run_id for run in instance.get_runs(runs)}
    return frozenset(partition for partition, run in tried.items() if run in given_up)

"""What is missing or stale, and the runs that put it right: the graph's own `make`.

Staleness is decided by the lake's lineage records: an asset partition is fresh when its newest record was made by the
current code version from the current content of every input. Models are the exception: they are trained when there is
none or when a person asks, and then stay as they are while their inputs grow.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import dagster as dg
from dagster import AssetKey, DagsterInstance

from phoenix_assets.errors import PhoenixError
from phoenix_assets.lineage import UNPARTITIONED, LineageRecord, StoredRecord
from resources.arrivals import is_replaced
from resources.declare import ON_REQUEST_TAG
from resources.ledger import LineageLedger

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # the UI has every event


@dataclass(frozen=True)
class Stale:
    """One asset partition that is to be materialised, and why."""

    asset: str
    partition: str
    reason: str


@dataclass
class Planner:
    """Compares the graph with the lake, and materialises what is not fresh."""

    definitions: dg.Definitions
    ledger: LineageLedger
    instance: DagsterInstance
    report: Callable[[str], None] = print
    _heads: dict[str, dict[str, StoredRecord]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graph = self.definitions.resolve_asset_graph()
        self.job = self.definitions.resolve_implicit_global_asset_job_def()

    def select(self, assets: Iterable[str], *, upstream: bool) -> set[str]:
        """Return asset paths, with everything that they are made from if `upstream`; all assets for none.

        Raises PhoenixError for a path that is not in the graph.
        """
        known = {key.to_user_string(): key for key in self.graph.executable_asset_keys}
        wanted = list(assets)
        if unknown := [asset for asset in wanted if asset not in known]:
            raise PhoenixError(f"no asset {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
        if not wanted:
            return set(known)
        selection = dg.AssetSelection.assets(*(known[asset] for asset in wanted))
        chosen = selection.upstream() if upstream else selection
        return {key.to_user_string() for key in chosen.resolve(self.graph)}

    def stale(self, assets: set[str] | None = None) -> list[Stale]:
        """Return every asset partition of `assets` that is not fresh, in topological order.

        What is downstream of something stale counts as stale too.
        """
        self._heads = self.ledger.all_heads()
        found: dict[tuple[str, str], Stale] = {}
        for key in self.graph.toposorted_asset_keys:
            asset = key.to_user_string()
            if (assets is not None and asset not in assets) or not self.graph.get(key).is_executable:
                continue
            for partition in self._partitions(key):
                reason = self._reason(key, partition, found)
                if reason:
                    found[asset, partition] = Stale(asset, partition, reason)
        return list(found.values())

    def bring_up_to_date(self, assets: set[str] | None = None) -> int:
        """Materialise what is stale until nothing is; return the number of asset partitions made.

        Raises PhoenixError naming the runs that failed.
        """
        made = 0
        while todo := self.stale(assets):
            batches = self._ready(todo)
            failures = [failure for batch in batches if (failure := self._run(batch))]
            if failures:
                raise PhoenixError("\n".join(failures))
            made += sum(len(batch) for batch in batches)
        return made

    def _run(self, batch: list[Stale]) -> str:
        partition = batch[0].partition
        names = [item.asset for item in batch]
        self.report(f"{f'[{partition}] ' if partition else ''}{', '.join(names)}  ({batch[0].reason})")
        result = self.job.execute_in_process(
            asset_selection=[AssetKey(name.split("/")) for name in names],
            partition_key=partition or None,
            instance=self.instance,
            raise_on_error=False,
            run_config=_QUIET,
            tags={"phoenix/why": batch[0].reason[:200]},
        )
        if result.success:
            return ""
        errors = [event.message or "" for event in result.all_events if event.is_failure]
        causes = [
            error.cause.message if error.cause else error.message
            for event in result.all_events
            if event.is_step_failure and (error := event.step_failure_data.error)
        ]
        return (
            f"run {result.run_id} of {', '.join(names)} [{partition}] failed: {'; '.join(causes or errors)}"
        )

    def _ready(self, todo: list[Stale]) -> list[list[Stale]]:
        """Group what can run now: one run a partition, with every stale asset that waits only for assets of that run."""
        stale_assets = {item.asset for item in todo}
        ready: set[str] = set()
        for item in todo:
            key = AssetKey(item.asset.split("/"))
            waits_for = {parent.to_user_string() for parent in self.graph.get(key).parent_keys} & stale_assets
            if all(parent in ready and self._same_set(parent, item.asset) for parent in waits_for):
                ready.add(item.asset)
        batches: dict[tuple[str, str], list[Stale]] = {}
        for item in todo:
            if item.asset in ready:
                batches.setdefault((self._partition_set(item.asset), item.partition), []).append(item)
        return list(batches.values())

    def _reason(self, key: AssetKey, partition: str, stale: dict[tuple[str, str], Stale]) -> str:
        node = self.graph.get(key)
        asset = key.to_user_string()
        head = self._head(asset).get(partition)
        if head is None:
            return "" if self._cannot_yet(key, stale) else "not materialised yet"
        if head.record.code_version != (node.code_version or ""):
            return "code or configuration changed"
        if is_replaced(self.ledger.lake.home / "landing", head.record):
            return "delivered anew"
        if ON_REQUEST_TAG in node.tags:
            return ""
        for parent in sorted(node.parent_keys):
            name = parent.to_user_string()
            same = self._same_set(name, asset)
            if any(place[0] == name and (not same or place[1] == partition) for place in stale):
                return f"{name} is stale"
            current = self._versions(name, partition if same and partition else None)
            if current != _recorded(head.record, name):
                return f"{name} changed"
        return ""

    def _cannot_yet(self, key: AssetKey, stale: dict[tuple[str, str], Stale]) -> bool:
        """Return whether an input has no data and none is coming.

        A source that has delivered nothing yet holds nobody up, unless nothing else has data either.
        """
        parents = [parent.to_user_string() for parent in self.graph.get(key).parent_keys]
        coming = {asset for asset, _ in stale}
        without = [name for name in parents if name not in coming and not self._head(name)]
        return any(not self._partition_set(name) for name in without) or (
            parents != [] and without == parents
        )

    def _versions(self, asset: str, partition: str | None) -> set[tuple[str, str]]:
        heads = self._head(asset)
        if partition is not None:
            heads = {partition: heads[partition]} if partition in heads else {}
        return {(name, stored.record.data_version) for name, stored in heads.items()}

    def _head(self, asset: str) -> dict[str, StoredRecord]:
        return self._heads.get(asset, {})

    def _partitions(self, key: AssetKey) -> list[str]:
        definition = self.graph.get(key).partitions_def
        if definition is None:
            return [UNPARTITIONED]
        return sorted(definition.get_partition_keys(dynamic_partitions_store=self.instance))

    def _partition_set(self, asset: str) -> str:
        definition = self.graph.get(AssetKey(asset.split("/"))).partitions_def
        return str(definition.name) if isinstance(definition, dg.DynamicPartitionsDefinition) else ""

    def _same_set(self, left: str, right: str) -> bool:
        return self._partition_set(left) == self._partition_set(right)


def _recorded(record: LineageRecord, asset: str) -> set[tuple[str, str]]:
    return {(source.partition, source.data_version) for source in record.inputs if source.asset == asset}

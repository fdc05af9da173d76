"""What is missing or stale, and the runs that put it right: the graph's own `make`.

Staleness is decided by the lake's lineage records: an asset partition is fresh when its newest record was made by the
current code version from the current content of every input. The command line and the automation sensor both ask
here, so they never disagree about what is due.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import dagster as dg
from dagster import AssetKey, DagsterInstance

from phoenix_assets.config import digest
from phoenix_assets.errors import PhoenixError
from phoenix_assets.lineage import UNPARTITIONED, LineageRecord, StoredRecord
from resources.arrivals import is_replaced
from resources.declare import AUTOMATION_TAG, Automation
from resources.erasures import cannot_be_read_again
from resources.frozen import Frozen, frozen_mixtures, require_sound
from resources.ledger import LineageLedger
from resources.work import Place

_Coming: TypeAlias = dict[str, set[str]]  # asset → its partitions that are not there yet


@dataclass(frozen=True)
class Stale:
    """One asset partition that is to be materialised, and why."""

    asset: str
    partition: str
    reason: str

    @property
    def place(self) -> Place:
        """The asset partition."""
        return self.asset, self.partition


@dataclass(frozen=True)
class Batch:
    """What one run makes: stale assets of one partition, in topological order."""

    items: tuple[Stale, ...]
    key: str  # of the work: the same exactly when the same code would read the same inputs to replace the same data

    @property
    def partition(self) -> str:
        """The partition of all items, "" for unpartitioned assets."""
        return self.items[0].partition

    @property
    def assets(self) -> list[AssetKey]:
        """The assets that the run makes."""
        return [_key(item.asset) for item in self.items]


@dataclass
class Planner:
    """Compares the graph with the lake."""

    repository: dg.RepositoryDefinition
    ledger: LineageLedger
    instance: DagsterInstance
    _heads: dict[str, dict[str, StoredRecord]] = field(default_factory=dict)
    _frozen: dict[str, Frozen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graph = self.repository.asset_graph

    def select(self, assets: Iterable[str], *, upstream: bool) -> set[str]:
        """Return asset paths, with everything that they are made from if `upstream`.

        For none: all assets but those that are made by name alone. Raises PhoenixError for a path that is not in the graph.
        """
        known = {key.to_user_string(): key for key in self.graph.executable_asset_keys}
        wanted = list(assets)
        if unknown := [asset for asset in wanted if asset not in known]:
            raise PhoenixError(f"no asset {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
        if not wanted:
            return {asset for asset, key in known.items() if self._automation(key) != Automation.BY_NAME}
        return self._with_upstream(wanted) if upstream else set(wanted)

    def automated(self) -> set[str]:
        """Return the assets that are made without anybody asking."""
        return {
            key.to_user_string()
            for key in self.graph.executable_asset_keys
            if self._automation(key) in (Automation.ALWAYS, Automation.WHEN_MISSING)
        } - set(self._frozen_assets())

    def stale(
        self,
        assets: Collection[str] | None = None,
        *,
        given_up: Collection[Place] = (),
        retrain: bool = True,
    ) -> list[Stale]:
        """Return every asset partition of `assets` that is not fresh, in topological order.

        What is downstream of something stale counts as stale too. `given_up` cannot be made: neither can what stands
        on it, while assets that collect partitions go on without it. Without `retrain`, models stay as they are. A frozen
        mixture is stale only until it has been made as it was frozen; raises RecipeDrift or Withdrawn for one of
        `assets` that cannot be.
        """
        self._heads = self.ledger.all_heads()
        self._frozen = self._frozen_assets()
        for asset, frozen in self._frozen.items():
            if assets is None or asset in assets:
                require_sound(self.ledger, frozen.mixture)
        found: list[Stale] = []
        coming: _Coming = {}
        out_of_reach = set(given_up)
        for key in self.graph.toposorted_asset_keys:
            asset = key.to_user_string()
            if (assets is not None and asset not in assets) or not self.graph.get(key).is_executable:
                continue
            for partition in self._partitions(key):
                reason = self._reason(key, partition, coming, retrain=retrain)
                if not reason:
                    continue
                if out_of_reach.isdisjoint([(asset, partition), *self._stands_on(asset, partition)]):
                    found.append(Stale(asset, partition, reason))
                    coming.setdefault(asset, set()).add(partition)
                else:
                    out_of_reach.add((asset, partition))
        return found

    def ready(self, todo: Collection[Stale], *, busy: Collection[Place] = ()) -> list[Batch]:
        """Return the runs that can start now, one a partition, with every stale asset that waits only for its own run.

        What is `busy` is being made, or is not to be used yet: everything that would read it waits.
        """
        awaited: _Coming = {}
        for asset, partition in [*busy, *(item.place for item in todo)]:
            awaited.setdefault(asset, set()).add(partition)
        batches: dict[Place, list[Stale]] = {}
        starting: set[Place] = set()
        for item in todo:
            if item.place not in busy and self._waits_only_for(starting, item, awaited):
                starting.add(item.place)
                batches.setdefault((self._partition_set(item.asset), item.partition), []).append(item)
        return [Batch(tuple(items), self._work(items)) for items in batches.values()]

    def newer_inputs(self, item: Stale) -> list[StoredRecord]:
        """Return the newest records of inputs that `item` was not made from, as the last `stale` found them."""
        head = self._head(item.asset).get(item.partition)
        newer = []
        for name in self._parents(item.asset):
            known = set() if head is None else _recorded(head.record, name)
            partition = self._read_partition(name, item.asset, item.partition)
            for place, stored in self._head(name).items():
                if partition in (None, place) and (place, stored.record.data_version) not in known:
                    newer.append(stored)
        return newer

    def _waits_only_for(self, starting: set[Place], item: Stale, awaited: _Coming) -> bool:
        for parent in self._parents(item.asset):
            partitions = awaited.get(parent, set())
            if self._same_set(parent, item.asset):
                if item.partition in partitions and (parent, item.partition) not in starting:
                    return False
            elif partitions:
                return False
        return True

    def _work(self, items: list[Stale]) -> str:
        made_here = {item.asset for item in items}
        return digest(
            [
                {
                    "asset": item.asset,
                    "partition": item.partition,
                    "code": self.graph.get(_key(item.asset)).code_version,
                    "replaces": head.record.record_id
                    if (head := self._head(item.asset).get(item.partition))
                    else "",
                    "reads": sorted(
                        (name, *version)
                        for name in self._parents(item.asset)
                        if name not in made_here
                        for version in self._versions(
                            name, self._read_partition(name, item.asset, item.partition)
                        )
                    ),
                }
                for item in items
            ]
        )

    def _reason(self, key: AssetKey, partition: str, coming: _Coming, *, retrain: bool) -> str:
        node = self.graph.get(key)
        asset = key.to_user_string()
        head = self._head(asset).get(partition)
        if frozen := self._frozen.get(asset):
            made = head is not None and set(head.record.inputs) == set(frozen.inputs)
            return "" if made else "not materialised as it was frozen"
        if head is None:
            return "" if self._cannot_yet(asset, partition, coming) else "not materialised yet"
        is_model = self._automation(key) == Automation.WHEN_MISSING
        if is_model and not retrain:
            return ""
        landing = self.ledger.lake.home / "landing"
        if head.record.code_version != (node.code_version or "") and not cannot_be_read_again(
            landing, head.record
        ):
            return "code or configuration changed"
        if is_replaced(landing, head.record):
            return "delivered anew"
        return "" if is_model else self._changed_input(asset, head.record, coming)

    def _changed_input(self, asset: str, record: LineageRecord, coming: _Coming) -> str:
        for name in self._parents(asset):
            partition = self._read_partition(name, asset, record.partition)
            stale = coming.get(name, set())
            if stale if partition is None else partition in stale:
                return f"{name} is stale"
            if self._versions(name, partition) != _recorded(record, name):
                return f"{name} changed"
        return ""

    def _cannot_yet(self, asset: str, partition: str, coming: _Coming) -> bool:
        """Return whether an input has no data and none is coming.

        A source that has delivered nothing yet holds nobody up, unless no other has data either.
        """
        # What no run makes, tombstones, need not be there.
        parents = [name for name in self._parents(asset) if self.graph.get(_key(name)).is_executable]
        without = [name for name in parents if name not in coming and not self._head(name)]
        collected = [name for name in parents if self._partition_set(name)]
        if any(name not in collected for name in without) or (collected and set(collected) <= set(without)):
            return True
        beside = [(name, self._read_partition(name, asset, partition)) for name in parents]
        return any(read and read not in {*coming.get(name, ()), *self._head(name)} for name, read in beside)

    def _stands_on(self, asset: str, partition: str) -> list[Place]:
        """Return the places without which an asset partition cannot be made: beside it, and whole assets."""
        return [
            (name, partition if self._same_set(name, asset) else UNPARTITIONED)
            for name in self._parents(asset)
            if self._same_set(name, asset) or not self._partition_set(name)
        ]

    def _read_partition(self, parent: str, asset: str, partition: str) -> str | None:
        """Return the one partition of `parent` that `asset[partition]` reads, None when it reads all of it."""
        mapping = self.graph.get(_key(asset)).partition_mappings.get(_key(parent))
        if isinstance(mapping, dg.SpecificPartitionsPartitionMapping):
            return str(mapping.partition_keys[0])
        return partition if partition and self._same_set(parent, asset) else None

    def _versions(self, asset: str, partition: str | None) -> set[tuple[str, str]]:
        heads = self._head(asset)
        if partition is not None:
            heads = {partition: heads[partition]} if partition in heads else {}
        return {(name, stored.record.data_version) for name, stored in heads.items()}

    def _with_upstream(self, wanted: list[str]) -> set[str]:
        """Return assets and what they are made from; a frozen mixture is made of nothing that could be made anew."""
        frozen = self._frozen_assets()
        found: set[str] = set()
        while wanted:
            asset = wanted.pop()
            if asset not in found:
                found.add(asset)
                wanted += [] if asset in frozen else self._parents(asset)
        return {asset for asset in found if self.graph.get(_key(asset)).is_executable}

    def _frozen_assets(self) -> dict[str, Frozen]:
        mixtures = frozen_mixtures(self.ledger.lake)
        return {f"mix/{version}": frozen for version, frozen in mixtures.items()}

    def _automation(self, key: AssetKey) -> str | None:
        return self.graph.get(key).tags.get(AUTOMATION_TAG)

    def _head(self, asset: str) -> dict[str, StoredRecord]:
        return self._heads.get(asset, {})

    def _parents(self, asset: str) -> list[str]:
        return sorted(key.to_user_string() for key in self.graph.get(_key(asset)).parent_keys)

    def _partitions(self, key: AssetKey) -> list[str]:
        definition = self.graph.get(key).partitions_def
        if definition is None:
            return [UNPARTITIONED]
        return sorted(definition.get_partition_keys(dynamic_partitions_store=self.instance))

    def _partition_set(self, asset: str) -> str:
        definition = self.graph.get(_key(asset)).partitions_def
        return str(definition.name) if isinstance(definition, dg.DynamicPartitionsDefinition) else ""

    def _same_set(self, left: str, right: str) -> bool:
        return self._partition_set(left) == self._partition_set(right)


def _recorded(record: LineageRecord, asset: str) -> set[tuple[str, str]]:
    return {(source.partition, source.data_version) for source in record.inputs if source.asset == asset}


def _key(asset: str) -> AssetKey:
    return AssetKey(asset.split("/"))

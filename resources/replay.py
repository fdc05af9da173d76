"""Make one recorded materialisation again, in another lake: the same asset, partition and day, from the same inputs.

The asset finds in its ledger what the record read and nothing else, so whatever it resolves is what was resolved then.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import dagster as dg

from phoenix_assets.config import Config
from phoenix_assets.errors import PhoenixError
from phoenix_assets.lineage import UNPARTITIONED, InputVersion, SideTable, StoredRecord
from resources.alerts import Alerts, load_alerts
from resources.lake import Lake
from resources.ledger import LineageLedger
from resources.phoenix import Phoenix
from resources.runs import QUIET


class Replay(Config):
    """What is made again, from which versions in the lake that it is made in."""

    asset: str
    partition: str
    inputs: tuple[InputVersion, ...]
    day: date  # on which it was made: licences had to be in force then


class Remade(Config):
    """What came of it."""

    data_version: str
    content_hash: str
    storage_version: int
    rows: int
    side_tables: dict[SideTable, InputVersion]


class PinnedLedger(LineageLedger):
    """A ledger in which `inputs` are the newest versions, and all there are."""

    def __init__(self, lake: Lake, inputs: Iterable[InputVersion]) -> None:
        super().__init__(lake)
        self._pinned: dict[str, dict[str, StoredRecord]] = {}
        wanted = list(inputs)
        for source, stored in zip(wanted, self.records_of(wanted), strict=True):
            self._pinned.setdefault(source.asset, {})[source.partition] = stored

    def all_heads(self, assets: Iterable[str] | None = None) -> dict[str, dict[str, StoredRecord]]:
        """Return the pinned records of `assets` (default: of all), by asset and partition."""
        names = self._pinned if assets is None else assets
        return {asset: dict(self._pinned[asset]) for asset in names if asset in self._pinned}

    def head(self, asset: str, partition: str = UNPARTITIONED) -> StoredRecord | None:
        """Return the pinned record of one partition, None when there is none."""
        return self._pinned.get(asset, {}).get(partition)


class _Unsent(Alerts):
    """Alerts that are written down and reach nobody: people were told the first time."""

    def send(self) -> None:
        """Send nothing."""


class ReplayedPhoenix(Phoenix):
    """The resource of an asset that is made again: `replay` is the Replay, as JSON."""

    replay: str

    @property
    def ledger(self) -> LineageLedger:
        """The versions that were read, and no others."""
        return PinnedLedger(self.lake, self._wanted.inputs)

    @property
    def today(self) -> date:
        """The day on which it was made first."""
        return self._wanted.day

    @property
    def alerts(self) -> Alerts:
        """Where nobody is told of anything."""
        return _Unsent(self.path, load_alerts())

    @property
    def _wanted(self) -> Replay:
        return Replay.model_validate_json(self.replay)


def make_again(assets: dg.AssetsDefinition, home: Path, replay: Replay) -> Remade:
    """Materialise `replay` in the lake of `home`. Raises PhoenixError when it fails."""
    with dg.DagsterInstance.ephemeral() as instance:
        if isinstance(assets.partitions_def, dg.DynamicPartitionsDefinition):
            instance.add_dynamic_partitions(assets.partitions_def.name or "", [replay.partition])
        result = dg.materialize(
            [assets],
            resources={"phoenix": ReplayedPhoenix(home=str(home), replay=replay.model_dump_json())},
            partition_key=replay.partition or None,
            run_config=QUIET,
            instance=instance,
            raise_on_error=False,
        )
    if not result.success:
        raise PhoenixError(f"{replay.asset}[{replay.partition}] failed again: {_causes(result)}")
    stored = LineageLedger(Lake(home)).head(replay.asset, replay.partition)
    assert stored is not None  # noqa: S101 - it was committed
    return remade(stored)


def remade(stored: StoredRecord) -> Remade:
    """Return what a record says of what it made."""
    record = stored.record
    return Remade(
        data_version=record.data_version,
        content_hash=record.content_hash,
        storage_version=stored.storage_version,
        rows=record.counts.get("rows_out", 0),
        side_tables=record.side_tables,
    )


def _causes(result: dg.ExecuteInProcessResult) -> str:
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return "; ".join((error.cause or error).message for error in errors if error)

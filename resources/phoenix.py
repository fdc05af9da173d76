"""The one resource assets need: the lake, the lineage ledger and the engine of this `$PHOENIX_HOME`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from phoenix_assets.lineage import UNPARTITIONED, InputVersion
from resources.alerts import Alerts, load_alerts
from resources.build import PARTITION_COLUMN, Build
from resources.engine import Engine, default_workers, open_engine
from resources.lake import Lake, phoenix_home
from resources.ledger import LineageLedger


class Phoenix(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Everything an asset reaches the outside with. Fields left empty come from the environment."""

    home: str = ""
    workers: int = 0
    engine_kind: str = ""

    @property
    def path(self) -> Path:
        """The home folder: lake, landing, jobs, caches."""
        return Path(self.home).resolve() if self.home else phoenix_home()

    @property
    def landing(self) -> Path:
        """Where vendors put deliveries: `landing/<source>/<delivery>/`."""
        return self.path / "landing"

    @property
    def lake(self) -> Lake:
        """The tables."""
        return Lake(self.path)

    @property
    def ledger(self) -> LineageLedger:
        """The lineage index over the tables: one object for all runs in this process."""
        return _ledger(self.path)

    @property
    def today(self) -> date:
        """The day on which licences have to be in force."""
        return datetime.now(UTC).date()

    @property
    def alerts(self) -> Alerts:
        """Where people are told what needs them."""
        return Alerts(self.path, load_alerts())

    @property
    def engine(self) -> Engine:
        """Where kernels run. Long maps say in the run's log how far they are."""
        workers = self.workers or default_workers()
        return open_engine(self.engine_kind, workers, self.path, dg.get_dagster_logger().info)

    def start(
        self,
        context: dg.AssetExecutionContext,
        *,
        config: Mapping[str, Any],
        same: Iterable[str] = (),
        all_of: Iterable[str] = (),
        inputs: Iterable[InputVersion] = (),
        partitioned_by: str | None = None,
    ) -> Build:
        """Begin the materialisation of the asset that `context` is for: resolve its input manifest, once.

        `same` are upstream assets of which the same partition is read (or the whole, when they are unpartitioned);
        `all_of` those of which every partition is read. Raises LineageError when one was never materialised.
        """
        ledger = self.ledger
        own = context.asset_key.to_user_string()
        table_version = ledger.lake.version(own)
        partition = context.partition_key if context.has_partition_key else UNPARTITIONED
        resolved = list(inputs)
        for asset in same:
            found = ledger.head(asset, partition) or ledger.head(asset)
            resolved.append(found.as_input() if found else ledger.resolve(asset, partition))
        every = list(all_of)
        heads = ledger.all_heads(every)
        for asset in every:
            resolved += [stored.as_input() for _, stored in sorted(heads.get(asset, {}).items())]
        return Build(
            lake=ledger.lake,
            ledger=ledger,
            asset=own,
            partition=partition,
            code_version=context.assets_def.code_versions_by_key[context.asset_key] or "",
            config=config,
            run_id=context.run_id,
            inputs=tuple(resolved),
            partitioned_by=partitioned_by or (PARTITION_COLUMN if partition else None),
            table_version=table_version,
        )


@cache
def _ledger(home: Path) -> LineageLedger:
    return LineageLedger(Lake(home))

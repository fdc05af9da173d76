"""Send OpenLineage events of what the lake's records say was made.

Events are made from the commits, not at the time of the commit: a receiver that is away delays no materialisation and
misses none. They are delivered at least once; a record's run has the same id each time.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from pydantic import Field

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.errors import ConfigError
from phoenix_assets.lineage import InputVersion, StoredRecord
from resources.ledger import LineageLedger

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

    from phoenix_assets.audit.openlineage import Described


class OpenLineageConfig(Config):
    """`config/openlineage.yaml`."""

    namespace: str = Field(min_length=1)
    transport: dict[str, Any] | None  # as OpenLineage's clients are configured
    records_per_tick: int = Field(ge=1)
    interval_seconds: int = Field(ge=1)


def load_openlineage() -> OpenLineageConfig:
    """Return `config/openlineage.yaml`."""
    return load(OpenLineageConfig, config_dir() / "openlineage.yaml")


def open_client(config: OpenLineageConfig, home: Path) -> "OpenLineageClient":
    """Return OpenLineage's client for the configured transport. Raises ConfigError when there is none, or a wrong one."""
    from openlineage.client import OpenLineageClient

    if config.transport is None:
        raise ConfigError(
            f"{config_dir() / 'openlineage.yaml'}: no transport; name one, or write events to a file (--file)"
        )
    transport = dict(config.transport)
    if "log_file_path" in transport:
        transport["log_file_path"] = str(home / transport["log_file_path"])
    try:
        return OpenLineageClient(config={"transport": transport})
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"{config_dir() / 'openlineage.yaml'}: transport: {error}") from error


def unsent(
    ledger: LineageLedger, sent: Mapping[str, int], assets: Iterable[str] | None = None
) -> Iterator[StoredRecord]:
    """Yield the records of `assets` (default: of all) above the storage version that was `sent`, by asset."""
    for asset in ledger.lake.assets() if assets is None else assets:
        yield from ledger.lake.records(asset, after=sent.get(asset, -1))


class Events:
    """Makes the events of records, with what the lake and the graph say of their assets."""

    def __init__(self, ledger: LineageLedger, namespace: str, graph: AssetGraph) -> None:
        self.ledger, self.namespace, self.graph = ledger, namespace, graph

    def of(self, stored: StoredRecord) -> "list[RunEvent]":
        """Return the events of one record."""
        from phoenix_assets.audit.openlineage import Tables, events

        newest = {one.asset: one for one in sorted(stored.record.inputs, key=_storage_version)}
        newest[stored.record.asset] = stored.as_input()
        tables = Tables(
            self.namespace,
            version("phoenix-assets"),
            {asset: self._columns(source) for asset, source in newest.items()},
            {stored.record.asset: self._described(stored.record.asset)},
        )
        return events(stored, self.ledger.records_of(stored.record.inputs), tables)

    def _columns(self, source: InputVersion) -> dict[str, str]:
        schema = self.ledger.lake.read(source).collect_schema()
        return {name: str(dtype) for name, dtype in schema.items()}

    def _described(self, asset: str) -> "Described":
        from dagster import AssetKey

        from phoenix_assets.audit.openlineage import Described

        key = AssetKey(asset.split("/"))
        if not self.graph.has(key):
            return Described()
        node = self.graph.get(key)
        return Described(node.description or "", tuple(sorted(node.owners)))


def _storage_version(source: InputVersion) -> int:
    return source.storage_version

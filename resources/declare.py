"""How assets are declared: one place for keys, partitions, code versions, groups and the automation policy."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import dagster as dg

from phoenix_assets.versions import code_version

CONSERVATION = "rows_are_conserved"
AUTOMATION_TAG = "phoenix/automation"
# What a room's assets need most, of which the instance allows so much at once (`config/pools.yaml`).
_POOLS = {
    **dict.fromkeys(("ingest", "clean", "dedup", "tag", "tokens"), "cpu"),
    **dict.fromkeys(("mix", "order"), "memory"),
    "evaluate": "evaluation",
}


class Automation(StrEnum):
    """When an asset is made without anybody asking."""

    ALWAYS = "always"  # when it is missing, or an input's content or its code changed
    WHEN_MISSING = "when_missing"  # models: they stay as they are until a person asks for their successor
    ON_REQUEST = "on_request"  # training; raw data, which the landing sensor asks for
    BY_NAME = "by_name"  # mixtures that nothing needs at present: not even when everything is asked for

    def asked(self) -> "Automation":
        """Return when that is made which is of such an asset, and which only a person asks for."""
        return self if self is Automation.BY_NAME else Automation.ON_REQUEST


def deliveries(source: str) -> dg.DynamicPartitionsDefinition:
    """Return the partition set of a source: one key a delivery."""
    return dg.DynamicPartitionsDefinition(name=f"{source}_deliveries")


def checkpoints(experiment: str) -> dg.DynamicPartitionsDefinition:
    """Return the partition set of an experiment: one key a checkpoint, `step-000050`."""
    return dg.DynamicPartitionsDefinition(name=f"{experiment}_checkpoints")


def one_partition(asset: str, partition: str) -> dg.AssetDep:
    """Return the dependency of an unpartitioned asset on one partition of `asset`."""
    mapping = dg.SpecificPartitionsPartitionMapping([partition])
    return dg.AssetDep(dg.AssetKey(asset.split("/")), partition_mapping=mapping)


def declared(
    key: str,
    *,
    room: str,
    kernels: tuple[str, ...],
    config: Mapping[str, Any],
    deps: Iterable[str | dg.AssetDep] = (),
    partitions: dg.PartitionsDefinition[str] | None = None,
    automation: Automation = Automation.ALWAYS,
    kinds: Iterable[str] = ("deltalake",),
    conserves_rows: bool = False,
    description: str,
    pool: str | None = None,
) -> dict[str, Any]:
    """Return the keyword arguments of `dg.asset` for the asset `key` (a path such as `cc/filtered`)."""
    asset_key = dg.AssetKey(key.split("/"))
    upstream = [dep if isinstance(dep, dg.AssetDep) else dg.AssetKey(dep.split("/")) for dep in deps]
    checks = [dg.AssetCheckSpec(CONSERVATION, asset=asset_key, blocking=True)] if conserves_rows else []
    return {
        "key": asset_key,
        "deps": upstream,
        "partitions_def": partitions,
        "code_version": code_version(kernels, config),
        "group_name": key.partition("/")[0] if _stands_for_itself(key, partitions) else room,
        "kinds": set(kinds),
        "owners": ["team:pretraining-data"],
        "tags": {"room": room, AUTOMATION_TAG: automation.value},
        "check_specs": checks,
        "description": description,
        "pool": pool or (None if automation is Automation.ON_REQUEST else _POOLS.get(room)),
    }


def _stands_for_itself(key: str, partitions: dg.PartitionsDefinition[str] | None) -> bool:
    """Return whether the graph groups an asset by the first part of its path: a source's chain, the models."""
    source = key.partition("/")[0]
    return source == "models" or (partitions is not None and partitions == deliveries(source))

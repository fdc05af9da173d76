"""How assets are declared: one place for keys, partitions, code versions, groups and the automation policy."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from phoenix_assets.versions import code_version

CONSERVATION = "rows_are_conserved"
ON_REQUEST_TAG = "phoenix/retrained_on_request"

# Not `eager()`: it fires on identical rewrites. An input counts when its *data version* changed; a new delivery waits
# until everything upstream of it, also what this very tick asks for, is there and checked.
AUTOMATIC: dg.AutomationCondition[Any] = (
    (
        dg.AutomationCondition.newly_missing()  # type: ignore[misc]
        | dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
        | dg.AutomationCondition.code_version_changed()
    ).since_last_handled()
    & ~dg.AutomationCondition.any_deps_missing()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.any_deps_match(dg.AutomationCondition.will_be_requested())
    & ~dg.AutomationCondition.in_progress()
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("an input's content or the code changed")

# Models are retrained when a person asks; the graph only trains a model that does not exist yet.
WHEN_MISSING: dg.AutomationCondition[Any] = (
    dg.AutomationCondition.newly_missing().since_last_handled()
    & ~dg.AutomationCondition.any_deps_missing()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("there is none yet")


def deliveries(source: str) -> dg.DynamicPartitionsDefinition:
    """Return the partition set of a source: one key a delivery."""
    return dg.DynamicPartitionsDefinition(name=f"{source}_deliveries")


def checkpoints(experiment: str) -> dg.DynamicPartitionsDefinition:
    """Return the partition set of an experiment: one key a checkpoint, `step-000050`."""
    return dg.DynamicPartitionsDefinition(name=f"{experiment}_checkpoints")


def declared(
    key: str,
    *,
    room: str,
    kernels: tuple[str, ...],
    config: Mapping[str, Any],
    deps: Iterable[str] = (),
    partitions: dg.PartitionsDefinition[str] | None = None,
    automation: dg.AutomationCondition[Any] | None = AUTOMATIC,
    kinds: Iterable[str] = ("deltalake",),
    conserves_rows: bool = False,
    description: str,
    pool: str | None = None,
) -> dict[str, Any]:
    """Return the keyword arguments of `dg.asset` for the asset `key` (a path such as `cc/filtered`)."""
    asset_key = dg.AssetKey(key.split("/"))
    checks = [dg.AssetCheckSpec(CONSERVATION, asset=asset_key, blocking=True)] if conserves_rows else []
    return {
        "key": asset_key,
        "deps": [dg.AssetKey(dep.split("/")) for dep in deps],
        "partitions_def": partitions,
        "code_version": code_version(kernels, config),
        "group_name": room,
        "kinds": set(kinds),
        "owners": ["team:pretraining-data"],
        "tags": {"room": room, **({ON_REQUEST_TAG: "true"} if automation is WHEN_MISSING else {})},
        "automation_condition": automation,
        "check_specs": checks,
        "description": description,
        "pool": pool,
    }

"""How assets are declared: one place for keys, partitions, code versions, groups and the automation policy."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import dagster as dg

from phoenix_assets.versions import code_version

CONSERVATION = "rows_are_conserved"
ON_REQUEST_TAG = "phoenix/retrained_on_request"
CHAIN_TAG = "phoenix/made_along_its_chain"

_When = dg.AutomationCondition
_Condition: TypeAlias = dg.AutomationCondition[Any]
_MODELS = dg.AssetSelection.tag(ON_REQUEST_TAG, "true")
_CHAIN = dg.AssetSelection.tag(CHAIN_TAG, "true")
# Unlike `since_last_handled`, without the first evaluation: what is missing when the sensor first looks is due.
_HANDLED = _When.newly_requested() | _When.newly_updated()
_AT_WORK = _When.newly_requested() | _When.in_progress() | (~_When.in_progress()).newly_true()
# Not `eager()`, which fires on identical rewrites: an input counts when its *data version* changed. Two evaluations see
# what changes during the first of them: it counts once.
_NEW_CONTENT = _When.data_version_changed().newly_true()
_CHANGED = _When.any_deps_match(_NEW_CONTENT)


def _outdated(by_other_runs: _Condition, *, by_own_run: _Condition | None = None) -> _Condition:
    """Return whether an input's content or the asset's code changed since the asset was asked for or made.

    A change from another run that comes while the asset is being made may have missed the moment at which the inputs
    were resolved: it outlives the update that ends the asset's own run, and the next request handles it. What the
    asset's own run makes on its way to the asset is no change.
    """
    changed = (by_other_runs | _When.code_version_changed()).since(_HANDLED)
    overtaken = (by_other_runs & _AT_WORK).since(_When.newly_requested() & ~by_other_runs)
    outdated = changed | overtaken
    return outdated if by_own_run is None else outdated | (by_own_run & ~_AT_WORK).since(_HANDLED)


def _automatic(outdated: _Condition, label: str) -> _Condition:
    """Return the policy: make what is missing or outdated, once everything above it is there, checked and at rest."""
    missing = _When.newly_missing().since(_HANDLED)
    # The first version of something waits until every input is complete. Later ones don't: one delivery that cannot be
    # read must not hold up all others.
    complete = ~_When.any_deps_missing() | ~_When.missing()
    # A source without deliveries holds nobody up, but there must be something besides models.
    something = _When.any_deps_match(~_When.missing() | _When.will_be_requested()).ignore(_MODELS)
    at_rest = ~_When.any_deps_in_progress() & ~_When.in_progress()
    # Not `all_deps_blocking_checks_passed`: the check of a source that has delivered nothing has never passed.
    unsound = _When.any_deps_match(_When.any_checks_match(_When.check_failed(), blocking_only=True))
    return ((missing | outdated) & complete & something & at_rest & ~unsound).with_label(label)


_LABEL = "an input's content or the code changed"
# The stages of a partition are made by one run; other runs make models, indexes and what lands.
AUTOMATIC = _automatic(_outdated(_CHANGED.ignore(_CHAIN), by_own_run=_CHANGED.allow(_CHAIN)), _LABEL)
_COLLECTION_OUTDATED = _outdated(_When.any_deps_match(_NEW_CONTENT & ~_When.executed_with_root_target()))
_COLLECTING = _automatic(_COLLECTION_OUTDATED, _LABEL)

# Models are retrained when a person asks; the graph only trains a model that does not exist yet.
WHEN_MISSING: _Condition = (_When.missing() & _COLLECTING).with_label("there is none yet")
_WITHOUT_INPUTS: _Condition = _When.newly_missing().since(_HANDLED).with_label("there is none yet")


def decided_by(index: str, *, signatures: str) -> _Condition:
    """Return the policy of an asset that applies the decisions of `index`, made from the partition's `signatures`.

    It waits until the index has seen the newest signatures of its group. A new delivery leaves the index's data version
    as it is (nothing decided earlier changes), so that alone would not tell.
    """
    being_signed = _When.missing() | _When.in_progress() | _When.will_be_requested()
    undecided = _COLLECTION_OUTDATED | _When.execution_failed()
    return (
        _automatic(_outdated(_CHANGED), _LABEL)
        & ~_When.any_deps_match(_When.will_be_requested())
        & ~_When.asset_matches(dg.AssetKey(signatures.split("/")), being_signed)
        & ~_When.asset_matches(dg.AssetKey(index.split("/")), undecided)
    ).with_label(f"{_LABEL}, and the index has decided")


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
    upstream = [dg.AssetKey(dep.split("/")) for dep in deps]
    checks = [dg.AssetCheckSpec(CONSERVATION, asset=asset_key, blocking=True)] if conserves_rows else []
    return {
        "key": asset_key,
        "deps": upstream,
        "partitions_def": partitions,
        "code_version": code_version(kernels, config),
        "group_name": key.partition("/")[0] if _stands_for_itself(key, partitions) else room,
        "kinds": set(kinds),
        "owners": ["team:pretraining-data"],
        "tags": {
            "room": room,
            **({ON_REQUEST_TAG: "true"} if automation is WHEN_MISSING else {}),
            **({CHAIN_TAG: "true"} if partitions and automation else {}),
        },
        "automation_condition": _policy(automation, alone=not upstream, collects=partitions is None),
        "check_specs": checks,
        "description": description,
        "pool": pool,
    }


def _stands_for_itself(key: str, partitions: dg.PartitionsDefinition[str] | None) -> bool:
    """Return whether the graph groups an asset by the first part of its path: a source's chain, the models."""
    source = key.partition("/")[0]
    return source == "models" or (partitions is not None and partitions == deliveries(source))


def _policy(chosen: _Condition | None, *, alone: bool, collects: bool) -> _Condition | None:
    if chosen is WHEN_MISSING and alone:
        return _WITHOUT_INPUTS
    return _COLLECTING if chosen is AUTOMATIC and collects else chosen

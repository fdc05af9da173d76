"""What is different between two checkpoints or two dataset versions: deliveries, rules, code, models, documents that moved."""

from collections.abc import Iterable, Mapping
from typing import Any

from phoenix_assets.audit.closure import closure, with_verification
from phoenix_assets.audit.moved import moved_documents
from phoenix_assets.audit.named import place_of, subject_named
from phoenix_assets.lineage import LineageRecord, StoredRecord
from phoenix_assets.schema import Stage
from resources.lake import Lake
from resources.ledger import LineageLedger

Sides = tuple[list[StoredRecord], list[StoredRecord]]


def audit_diff(
    lake: Lake, ledger: LineageLedger, first: str, second: str, *, verified: bool = True
) -> dict[str, Any]:
    """Return what SECOND has that FIRST has not, and the other way round, as plain JSON values. See `named` for names.

    Raises LineageError when one of them is not in the lake.
    """
    with ledger.connect():
        starts = subject_named(lake, ledger, first), subject_named(lake, ledger, second)
        sides = closure(ledger, *starts[0]), closure(ledger, *starts[1])
    found = {
        "kind": "diff",
        "diff": {
            name: {
                "name": typed,
                "versions": [
                    {"place": place_of(one), "data_version": one.record.data_version} for one in start
                ],
            }
            for name, typed, start in zip(("first", "second"), (first, second), starts, strict=True)
        },
        "deliveries": _deliveries(sides),
        "rules": _rules(sides),
        "code": _code(sides),
        "models": _models(sides),
        "documents": moved_documents(lake, starts, sides),
    }
    both = {(stored.record.record_id, stored.storage_version): stored for side in sides for stored in side}
    return with_verification(lake, found, list(both.values()), verified=verified)


def _deliveries(sides: Sides) -> list[dict[str, Any]]:
    """Return the deliveries that only one side has, or that came with other content."""
    first, second = (
        {place_of(one): one.record for one in side if one.record.asset.endswith(f"/{Stage.RAW}")}
        for side in sides
    )
    return [
        {
            "delivery": place.replace(f"/{Stage.RAW}[", "/").removesuffix("]"),
            "change": change,
            "licences": [
                term.model_dump(mode="json") for term in (second.get(place) or first[place]).licences
            ],
        }
        for place, change in _changes(_versions(first), _versions(second))
    ]


def _models(sides: Sides) -> list[dict[str, str]]:
    first, second = (
        {place_of(one): one.record for one in side if one.record.asset.startswith("models/")}
        for side in sides
    )
    return [
        {"model": place, "change": change} for place, change in _changes(_versions(first), _versions(second))
    ]


def _versions(records: Mapping[str, LineageRecord]) -> dict[str, str]:
    return {place: record.data_version for place, record in records.items()}


def _changes(first: Mapping[str, str], second: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for place in sorted(first.keys() | second.keys()):
        if first.get(place) != second.get(place):
            yield place, "added" if place not in first else "removed" if place not in second else "changed"


def _rules(sides: Sides) -> list[dict[str, Any]]:
    """Return every value of every rule set, threshold, recipe or setting that is another one, by its path with dots."""
    first, second = (_by_asset(side, lambda record: record.config) for side in sides)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for asset in sorted(first.keys() & second.keys()):
        for before, after in _pairs(first[asset], second[asset]):
            old, new = dict(flat(before)), dict(flat(after))
            for path in dict.fromkeys((*old, *new)):
                if old.get(path) != new.get(path):
                    found[asset, path] = {
                        "asset": asset,
                        "rule": path,
                        "first": old.get(path),
                        "second": new.get(path),
                    }
    return list(found.values())


def _code(sides: Sides) -> list[dict[str, Any]]:
    """Return the kernels that another version of was run, by asset."""
    first, second = (_by_asset(side, _kernels) for side in sides)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for asset in sorted(first.keys() & second.keys()):
        for before, after in _pairs(first[asset], second[asset]):
            for kernel in sorted(before.keys() | after.keys()):
                if before.get(kernel) != after.get(kernel):
                    found[asset, kernel] = {
                        "asset": asset, "kernel": kernel, "first": before.get(kernel), "second": after.get(kernel),
                    }  # fmt: skip
    return list(found.values())


def _by_asset(side: Iterable[StoredRecord], values: Any) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return `values` of the newest record of each partition, by asset. Of a delivery there is nothing: only its content."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for stored in side:
        if not stored.record.asset.endswith(f"/{Stage.RAW}"):
            found.setdefault(stored.record.asset, {})[stored.record.partition] = values(stored.record)
    return found


def _pairs(
    first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]
) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield what stands against each other: the same partition, or any that both have where none is the same."""
    common = first.keys() & second.keys()
    if common:
        yield from ((first[partition], second[partition]) for partition in sorted(common))
    else:
        yield first[min(first)], second[min(second)]


def _kernels(record: LineageRecord) -> dict[str, str]:
    """Return the kernels in a code version, `funnel.1-repetition.2+cfg=…`, with the version of each."""
    kernels = record.code_version.partition("+")[0].split("-")
    return {name: version for name, _, version in (kernel.rpartition(".") for kernel in kernels)}


def flat(values: Any, above: str = "") -> Iterable[tuple[str, Any]]:
    """Yield every value in nested mappings with its path: `filter_profile.rules.cond_check_perplexity.below`."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from flat(value, f"{above}.{key}" if above else str(key))
    else:
        yield above, values

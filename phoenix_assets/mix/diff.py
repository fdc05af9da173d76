"""The difference of two recipes, value by value."""

from collections.abc import Iterator, Mapping
from typing import Any

from phoenix_assets.mix.config import Mixture

Pair = list[Any]  # the value in the first recipe and in the second, None where it has none


def recipe_diff(first: Mixture, second: Mixture) -> dict[str, Any]:
    """Return as JSON values: `added` and `removed` components, and what `changed` in components and in `settings`.

    A changed value is [first, second], under the component's name and the value's path, such as `crawl` and `rate`.
    """
    one, other = (recipe.values() for recipe in (first, second))
    before, after = one.pop("components"), other.pop("components")
    common = [
        [name for name in order.pop("order") if name in before and name in after] for order in (one, other)
    ]
    moved = {"order": common} if common[0] != common[1] else {}
    changed = {name: value_diff(before[name], part) for name, part in after.items() if name in before}
    return {
        "added": {name: _given(part) for name, part in after.items() if name not in before},
        "removed": {name: _given(part) for name, part in before.items() if name not in after},
        "changed": {name: values for name, values in changed.items() if values},
        "settings": value_diff(one, other) | moved,
    }


def value_diff(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    """Return every value that differs between two nested mappings, by its path with dots."""
    before, after = dict(_flat(first)), dict(_flat(second))
    paths = dict.fromkeys((*before, *after))
    return {
        path: [before.get(path), after.get(path)] for path in paths if before.get(path) != after.get(path)
    }


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _given(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None}

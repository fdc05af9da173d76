"""Why a component has no documents: nothing was delivered, others take them all, or no document meets a condition."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from phoenix_assets.errors import ConfigError
from phoenix_assets.mix.amounts import Batches
from phoenix_assets.mix.assign import meets
from phoenix_assets.mix.config import Component, Mixture

_NAMED: Final = 30  # values that a message lists


@dataclass(frozen=True)
class Empty:
    """A component without documents; `wrong` when no document of its sources can ever meet its conditions."""

    component: str
    why: str
    wrong: bool


@dataclass
class _Seen:
    """What the documents of a component's sources are like."""

    documents: int = 0
    met: int = 0
    languages: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    deliveries: set[str] = field(default_factory=set)
    best_quality: float | None = None


def explain_empty(batches: Batches, recipe: Mixture, names: Collection[str]) -> list[Empty]:
    """Return why each component in `names` has no documents, in the recipe's order."""
    seen = {name: _Seen() for name in recipe.parts if name in names}
    for documents in batches() if seen else ():
        for name, so_far in seen.items():
            _look(so_far, documents, recipe.parts[name])
    return [_explained(name, recipe.parts[name], so_far) for name, so_far in seen.items()]


def require_documents(empty: Collection[Empty], version: str) -> None:
    """Raise ConfigError for components whose conditions no document meets."""
    if wrong := [one for one in empty if one.wrong]:
        raise ConfigError(
            f"mixture {version}: "
            + "; ".join(f"component {one.component!r} has no documents: {one.why}" for one in wrong)
            + f". Correct config/mixtures/{version}.yaml, or set the component to null"
        )


def _look(seen: _Seen, documents: pl.DataFrame, part: Component) -> None:
    own = documents.filter(pl.col("source").is_in(part.sources))
    if not own.height:
        return
    seen.documents += own.height
    seen.met += own.filter(meets(part)).height
    seen.languages |= set(own["lang"].unique().drop_nulls())
    seen.deliveries |= set(own["delivery"].unique())
    if part.tags:
        seen.tags |= set(own["tags"].explode().unique().drop_nulls())
    if part.min_quality is not None:
        best = [value for value in (seen.best_quality, own["quality"].max()) if isinstance(value, float)]
        seen.best_quality = max(best, default=None)


def _explained(name: str, part: Component, seen: _Seen) -> Empty:
    sources = ", ".join(part.sources)
    if not seen.documents:
        return Empty(name, f"there are no tagged documents of {sources}", wrong=False)
    if seen.met:
        return Empty(
            name,
            f"{seen.met} documents meet its conditions, and what stands before it takes them all",
            wrong=False,
        )
    why = f"none of {seen.documents} documents of {sources} meets its conditions"
    return Empty(name, f"{why}{_failing(part, seen)}", wrong=True)


def _failing(part: Component, seen: _Seen) -> str:
    for what, asked, there in (
        ("language", set(part.languages or ()), seen.languages),
        ("delivery", set(part.deliveries or ()), seen.deliveries),
    ):
        if asked and asked.isdisjoint(there):
            return f": there is no {what} {_listed(asked)}; there are: {_listed(there)}"
    if absent := set(part.tags or ()) - seen.tags:
        return f": there is no tag {_listed(absent)}; there are: {_listed(seen.tags)}"
    if part.min_quality is not None and (seen.best_quality is None or seen.best_quality < part.min_quality):
        best = "none is scored" if seen.best_quality is None else f"the best is {seen.best_quality:.3g}"
        return f": min_quality is {part.min_quality:g}, {best}"
    return " together"


def _listed(values: set[str]) -> str:
    names = sorted(values)
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + rest

"""A mixture version is a recipe: which documents enter the corpus, in which component and how many times.

`config/mixtures/<version>.yaml` holds one recipe. With `base: <version>` a file states only what differs from
another one: settings replace, components merge by name and key, and a component set to null leaves the
mixture. A document belongs to the first component, in the recipe's order, whose conditions it meets.

With `replay:` a part of the tokens is drawn as an earlier mixture draws: all its components, in its proportions.
What the replay takes of the documents is not for the mixture's own components: no document is in both. A mixture
for continual training replays an old one at a weight. A second stage replays the first at a rate of 0.1 to 0.3,
beside components whose weights sum to 0.2: the ratio is then 8:2.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from phoenix_assets.config import Config, config_dir, digest, load
from phoenix_assets.errors import ConfigError
from phoenix_assets.sources import load_sources

WEIGHT_TOLERANCE: Final = 1e-6  # rounding that weights written as decimals may show in their sum
_REPLAY: Final = "replay"  # what error messages call it among the components
_LABELS: Final = frozenset({"version", "automatic"})

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]  # ISO 639


class Carve(Config):
    """A share of every component's documents that is set aside, chosen by document hash.

    `seed` is the carve's own, so that mixtures with other sampling seeds set the same documents aside.
    """

    fraction: float = Field(ge=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**64)


class Component(Config):
    """Documents that are sampled alike. Every condition that is set must hold.

    Exactly one of two amounts applies. `rate` is the expected number of copies of a document: 0.43 samples 43
    %, 2 is two epochs. `weight` is the component's share of all training tokens. `cap_tokens` bounds the
    estimated tokens, `max_epochs` the copies of a document. With neither rate nor weight, rate is 1.
    """

    sources: tuple[str, ...] = Field(min_length=1)
    languages: tuple[Language, ...] | None = Field(default=None, min_length=1)
    tags: tuple[str, ...] | None = Field(default=None, min_length=1)  # a document must carry all of them
    min_quality: float | None = Field(default=None, ge=0, le=1)
    deliveries: tuple[str, ...] | None = Field(default=None, min_length=1)
    exclude_safety: tuple[str, ...] | None = Field(
        default=None, min_length=1
    )  # labels that keep a document out
    rate: float | None = Field(default=None, gt=0)
    weight: float | None = Field(default=None, gt=0, le=1)
    cap_tokens: int | None = Field(default=None, gt=0)
    max_epochs: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if self.rate is not None and self.weight is not None:
            raise ValueError(
                f"rate {self.rate:g} and weight {self.weight:g} are both set; keep the one that decides"
                " (in a file with a base, set the inherited one to null)"
            )
        if self.rate is not None and self.rate > self.max_epochs:
            raise ValueError(
                f"rate {self.rate:g} is more than max_epochs {self.max_epochs:g};"
                " lower the rate or allow the repeats with a higher max_epochs"
            )
        return self

    @property
    def epochs(self) -> float | None:
        """Expected copies of a document, or None where the component's weight decides."""
        if self.weight is not None:
            return None
        return min(1.0, self.max_epochs) if self.rate is None else self.rate


class Replay(Config):
    """An earlier mixture, drawn again: exactly one of two amounts applies.

    `rate` is the share of that mixture's tokens that is drawn, `weight` the share of all training tokens of the
    mixture that replays. More than that mixture's tokens are never drawn.
    """

    mixture: str
    rate: float | None = Field(default=None, gt=0, le=1)
    weight: float | None = Field(default=None, gt=0, lt=1)
    recipe: "Mixture"

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if (self.rate is None) == (self.weight is None):
            raise ValueError(
                f"give either rate (the share of {self.mixture}'s tokens that is drawn) or weight (its share of all"
                " tokens of this mixture)"
            )
        return self


class Mixture(Config):
    """A whole recipe, its base and the mixture that it replays already read."""

    version: str = Field(min_length=1)
    automatic: bool = False  # made whenever its inputs change; other mixtures are made when asked for by name
    seed: int = Field(ge=0, lt=2**64)
    bytes_per_token: float = Field(default=3.0, gt=0)  # stored UTF-8 bytes of Chinese and English text
    heldout: Carve
    validation: Carve
    replay: Replay | None = None
    components: dict[Name, Component] = Field(min_length=1)

    @field_validator("components", mode="before")
    @classmethod
    def _without_removed(cls, components: Any) -> Any:
        if isinstance(components, dict):
            return {name: component for name, component in components.items() if component is not None}
        return components

    @model_validator(mode="after")
    def _weights_leave_room(self) -> Self:
        parts: dict[str, Component | Replay] = dict(self.components)
        if self.replay is not None:
            parts[_REPLAY] = self.replay
        weights = {name: part.weight for name, part in parts.items() if part.weight is not None}
        total = sum(weights.values())
        if len(weights) == len(parts):
            if abs(total - 1) > WEIGHT_TOLERANCE:
                raise ValueError(
                    f"every component has a weight and they sum to {total:g}; make them sum to 1,"
                    " or give one component a rate so that it takes the rest"
                )
        elif total >= 1:
            raise ValueError(
                f"weights sum to {total:g} and leave nothing to the components without one; lower"
                f" {', '.join(weights)} so that they sum to less than 1"
            )
        return self

    @model_validator(mode="after")
    def _components_reachable(self) -> Self:
        parts = list(self.components.items())
        for index, (name, part) in enumerate(parts):
            for earlier_name, earlier in parts[:index]:
                if _takes_all_of(earlier, part):
                    raise ValueError(
                        f"component {name!r} can never get a document: {earlier_name!r} stands before it and"
                        f" takes all it would; put {name!r} first or narrow {earlier_name!r}"
                    )
        return self

    @model_validator(mode="after")
    def _sets_aside_what_the_replayed_one_does(self) -> Self:
        if self.replay is not None and self.replay.recipe.heldout != self.heldout:
            raise ValueError(
                f"heldout is not that of {self.replay.mixture}, which is replayed: its held-out documents would be"
                " trained on; set both alike"
            )
        return self

    @property
    def parts(self) -> dict[str, Component]:
        """Every component by name: the mixture's own, then those that it replays, as `<mixture>/<component>`."""
        if self.replay is None:
            return self.components
        replayed = self.replay.recipe.parts.items()
        return self.components | {f"{self.replay.mixture}/{name}": part for name, part in replayed}

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that some component reads, in name order."""
        return tuple(sorted({source for part in self.parts.values() for source in part.sources}))

    def values(self) -> dict[str, Any]:
        """Return what decides the corpus, as JSON values: the recipe with all `parts`, without its labels."""
        values = self.model_dump(mode="json", exclude={*_LABELS, "components", "replay"})
        if self.replay is not None:
            values["replay"] = self.replay.model_dump(mode="json", exclude={"recipe"})
            values["replay"]["digest"] = recipe_digest(self.replay.recipe)
        parts = {name: part.model_dump(mode="json") for name, part in self.parts.items()}
        return values | {"components": parts, "order": list(parts)}  # digests know no order of keys


class MixtureFile(Config):
    """One file under `config/mixtures/` as written: what it does not state comes from `base`, but for `automatic`."""

    base: str | None = None
    automatic: bool = False
    seed: int | None = None
    bytes_per_token: float | None = None
    heldout: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None
    replay: dict[str, Any] | None = None
    components: dict[str, dict[str, Any] | None] = Field(default_factory=dict)


def load_mixture(version: str, folder: Path | None = None) -> Mixture:
    """Read the recipe `<folder>/<version>.yaml` with all its bases (default folder: `config/mixtures`).

    Raises ConfigError when a file is missing or wrong, names something that there is not, or when bases or replays
    form a cycle.
    """
    return _loaded(version, config_dir() / "mixtures" if folder is None else folder, ())


def load_mixtures(folder: Path | None = None) -> dict[str, Mixture]:
    """Read every recipe of the folder, keyed by version, in name order."""
    folder = config_dir() / "mixtures" if folder is None else folder
    return {path.stem: load_mixture(path.stem, folder) for path in sorted(folder.glob("*.yaml"))}


def recipe_digest(recipe: Mixture) -> str:
    """Return 16 hex digits of what decides the corpus: all of the recipe but its labels.

    Values that are the default's do not count, so that a setting that comes with a later release changes no digest.
    """
    own = recipe.model_dump(mode="json", exclude=set(_LABELS), exclude_defaults=True)
    if recipe.replay is not None:
        own["replay"]["recipe"] = recipe_digest(recipe.replay.recipe)
    return digest(own, list(recipe.components))


def _loaded(version: str, folder: Path, replaying: tuple[str, ...]) -> Mixture:
    _refuse_cycle(version, replaying, folder, "replay")
    values = _merged(version, folder, ())
    if values.get("replay") is not None and "mixture" in values["replay"]:
        earlier = _loaded(str(values["replay"]["mixture"]), folder, (*replaying, version))
        values["replay"] = values["replay"] | {"recipe": earlier}
    try:
        recipe = Mixture.model_validate({"version": version, **values})
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(str(part) for part in problem['loc']) or '(recipe)'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigError(f"{folder / version}.yaml, with its base: not a mixture\n{problems}") from error
    _require_known(recipe, folder)
    return recipe


def _require_known(recipe: Mixture, folder: Path) -> None:
    """Raise ConfigError for a source or a safety label that there is not."""
    labels = [path.stem for path in sorted((config_dir() / "safety").glob("*.yaml"))]
    for name, part in recipe.components.items():
        for what, named, known in (
            ("source", part.sources, list(load_sources())),
            ("safety label", part.exclude_safety or (), labels),
        ):
            if unknown := [one for one in named if one not in known]:
                raise ConfigError(
                    f"{folder / recipe.version}.yaml: component {name!r}: no {what} {', '.join(map(repr, unknown))};"
                    f" there are: {', '.join(known)}"
                )


def _merged(version: str, folder: Path, children: tuple[str, ...]) -> dict[str, Any]:
    _refuse_cycle(version, children, folder, "base")
    file = load(MixtureFile, folder / f"{version}.yaml")
    own = file.model_dump(exclude_unset=True, exclude={"base"})
    if file.base is None:
        return own
    below = _merged(file.base, folder, (*children, version))
    below.pop("automatic", None)
    return _over(below, own)


def _refuse_cycle(version: str, before: tuple[str, ...], folder: Path, key: str) -> None:
    if version in before:
        cycle = " → ".join((*before[before.index(version) :], version))
        raise ConfigError(
            f"{folder / version}.yaml: {key} mixtures form a cycle: {cycle}; remove one `{key}:`"
        )


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both_maps = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _over(merged[key], value) if both_maps else value
    return merged


def _takes_all_of(earlier: Component, later: Component) -> bool:
    return (
        set(later.sources) <= set(earlier.sources)
        and _covers(earlier.languages, later.languages)
        and _covers(earlier.deliveries, later.deliveries)
        and set(earlier.exclude_safety or ()) <= set(later.exclude_safety or ())
        and set(earlier.tags or ()) <= set(later.tags or ())
        and (earlier.min_quality is None or (later.min_quality or -1) >= earlier.min_quality)
    )


def _covers(wide: tuple[str, ...] | None, narrow: tuple[str, ...] | None) -> bool:
    return wide is None or (narrow is not None and set(narrow) <= set(wide))

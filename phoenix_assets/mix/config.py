"""A mixture version is a recipe: which documents enter the corpus, in which component and how many times.

`config/mixtures/<version>.yaml` holds one recipe. With `base: <version>` a file states only what differs from
another one: settings replace, components merge by name and key, and a component set to null leaves the
mixture. A document belongs to the first component, in the recipe's order, whose conditions it meets.
"""

from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from phoenix_assets.config import Config, config_dir, digest, load
from phoenix_assets.errors import ConfigError

_LABELS: Final = frozenset({"version", "status"})
WEIGHT_TOLERANCE: Final = 1e-6  # rounding that weights written as decimals may show in their sum


class MixtureStatus(StrEnum):
    """Whether a mixture takes new deliveries when it is materialised again."""

    OPEN = "open"
    FROZEN = "frozen"


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
    languages: tuple[str, ...] | None = Field(default=None, min_length=1)
    tags: tuple[str, ...] | None = Field(default=None, min_length=1)  # a document must carry all of them
    min_quality: float | None = Field(default=None, ge=0, le=1)
    deliveries: tuple[str, ...] | None = Field(default=None, min_length=1)
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


class Mixture(Config):
    """A whole recipe, its base already merged in."""

    version: str = Field(min_length=1)
    status: MixtureStatus
    seed: int = Field(ge=0, lt=2**64)
    bytes_per_token: float = Field(default=3.0, gt=0)  # stored UTF-8 bytes of Chinese and English text
    heldout: Carve
    validation: Carve
    components: dict[str, Component] = Field(min_length=1)

    @field_validator("components", mode="before")
    @classmethod
    def _without_removed(cls, components: Any) -> Any:
        if isinstance(components, dict):
            return {name: component for name, component in components.items() if component is not None}
        return components

    @model_validator(mode="after")
    def _weights_leave_room(self) -> Self:
        weights = {name: part.weight for name, part in self.components.items() if part.weight is not None}
        total = sum(weights.values())
        if len(weights) == len(self.components):
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

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that some component reads, in name order."""
        return tuple(sorted({source for part in self.components.values() for source in part.sources}))


class MixtureFile(Config):
    """One file under `config/mixtures/` as written: what it does not state comes from `base`."""

    base: str | None = None
    status: MixtureStatus | None = None
    seed: int | None = None
    bytes_per_token: float | None = None
    heldout: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None
    components: dict[str, dict[str, Any] | None] = Field(default_factory=dict)


def load_mixture(version: str, folder: Path | None = None) -> Mixture:
    """Read the recipe `<folder>/<version>.yaml` with all its bases (default folder: `config/mixtures`).

    Raises ConfigError when a file is missing or wrong, or when bases form a cycle.
    """
    folder = config_dir() / "mixtures" if folder is None else folder
    values = _merged(version, folder, ())
    try:
        return Mixture.model_validate({"version": version, **values})
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(str(part) for part in problem['loc']) or '(recipe)'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigError(f"{folder / version}.yaml, with its base: not a mixture\n{problems}") from error


def load_mixtures(folder: Path | None = None) -> dict[str, Mixture]:
    """Read every recipe of the folder, keyed by version, in name order."""
    folder = config_dir() / "mixtures" if folder is None else folder
    return {path.stem: load_mixture(path.stem, folder) for path in sorted(folder.glob("*.yaml"))}


def recipe_digest(recipe: Mixture) -> str:
    """Return 16 hex digits of what decides the corpus: all of the recipe but its name and its status."""
    return digest({key: value for key, value in recipe.model_dump(mode="json").items() if key not in _LABELS})


def _merged(version: str, folder: Path, children: tuple[str, ...]) -> dict[str, Any]:
    if version in children:
        cycle = " → ".join((*children[children.index(version) :], version))
        raise ConfigError(f"{folder / version}.yaml: base mixtures form a cycle: {cycle}; remove one `base:`")
    file = load(MixtureFile, folder / f"{version}.yaml")
    own = file.model_dump(exclude_unset=True, exclude={"base"})
    return own if file.base is None else _over(_merged(file.base, folder, (*children, version)), own)


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
        and set(earlier.tags or ()) <= set(later.tags or ())
        and (earlier.min_quality is None or (later.min_quality or -1) >= earlier.min_quality)
    )


def _covers(wide: tuple[str, ...] | None, narrow: tuple[str, ...] | None) -> bool:
    return wide is None or (narrow is not None and set(narrow) <= set(wide))

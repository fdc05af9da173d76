"""Mixture searches: one file each, `config/searches/<name>.yaml`. A search starts from a mixture and ends in a recipe."""

from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config, config_dir, load_folder
from phoenix_assets.errors import ConfigError
from phoenix_assets.mix.config import Language, Name, load_mixtures
from phoenix_assets.train.config import load_sizes
from training_jobs.job import (
    Batch,
    GroupDro,
    Hardware,
    ModelShape,
    ModelSize,
    Optimizer,
    Precision,
    Schedule,
    TokenData,
    TrainingJob,
)

_ONLY_OURS: Final = frozenset({"size", "validation_sequences"})  # of a proxy: what is no setting of its job


class Samples(Config):
    """The mixtures to try: `number` draws of Dirichlet distributions, or every point of a `grid`.

    A Dirichlet distribution has the mixture's own shares, made more even by `temperature`, as its mean; its
    `concentration` is drawn, uniform in its logarithm: low ones give mixtures of few components. No component
    gets more than `max_usage` times the share that it has in the mixture.
    """

    number: int | None = Field(None, gt=0)
    grid: int | None = Field(None, gt=0)  # each weight is a multiple of 1/grid
    concentration: tuple[float, float] = (0.1, 5.0)
    temperature: float = Field(0.5, gt=0, le=1)
    max_usage: float = Field(4.0, gt=1)
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.number is None) == (self.grid is None):
            raise ValueError("give either number (of Dirichlet samples) or grid (steps from 0 to 1)")
        if not 0 < self.concentration[0] <= self.concentration[1]:
            raise ValueError(
                f"concentration {list(self.concentration)}: a low bound above 0, then a high one"
            )
        return self


class Proxy(Config):
    """The small model that each sample is trained with."""

    size: str
    steps: int = Field(gt=0)
    batch: Batch
    hardware: Hardware
    optimizer: Optimizer
    schedule: Schedule = Schedule.COSINE
    precision: Precision = Precision.FP32
    seed: int = Field(ge=0)
    validation_sequences: int = Field(64, gt=0)  # of each component and language, at most


class Target(Config):
    """A validation loss that the search lowers: of a component, a language, or a component's part in a language."""

    component: Name | None = None
    lang: Language | None = None
    weight: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.component is None and self.lang is None:
            raise ValueError("give component, lang or both")
        return self


class SurfaceKind(StrEnum):
    """What predicts the logarithm of a validation loss."""

    LINEAR = "linear"  # in the weights: the data mixing law without its floor
    POWER = "power"  # linear in the logarithms of the weights: a power of each component's tokens
    BOOSTED = "boosted"  # gradient-boosted trees


class Regression(Config):
    """How the loss is predicted from the weights, and the best weights are found."""

    kinds: tuple[SurfaceKind, ...] = Field(default=tuple(SurfaceKind), min_length=1)  # the best is used
    folds: int = Field(default=5, ge=2)
    ridge: float = Field(default=1e-6, ge=0)
    least_weight: float = Field(default=1e-3, gt=0)  # added to weights before their logarithm is taken
    rounds: int = Field(default=300, gt=0)  # of boosting
    learning_rate: float = Field(default=0.05, gt=0)
    min_leaf: int = Field(default=4, gt=0)  # runs that a leaf of a tree holds, at least
    candidates: int = Field(default=100_000, gt=0)  # mixtures whose loss is predicted
    best: int = Field(default=100, gt=0)  # the proposal is the mean of these


class Reweighting(Config):
    """The constants of DoReMi's updates of the weights."""

    step_size: float = Field(default=1.0, gt=0)
    smoothing: float = Field(default=1e-3, ge=0, lt=1)


class Search(Config):
    """One search."""

    description: str
    mixture: str
    components: tuple[Name, ...] = Field(min_length=2)  # whose weights vary; the others keep their shares
    samples: Samples
    proxy: Proxy
    target: tuple[Target, ...] = Field(min_length=1)
    regression: Regression = Regression()
    reweighting: Reweighting = Reweighting()

    @model_validator(mode="after")
    def _every_component_in_every_batch(self) -> Self:
        if len(set(self.components)) < len(self.components):
            raise ValueError(f"components {list(self.components)}: one comes twice")
        if self.proxy.batch.sequences < len(self.components):
            raise ValueError(
                f"a global batch of {self.proxy.batch.sequences} sequences has no room for {len(self.components)} "
                "components; raise its tokens"
            )
        return self


def load_searches() -> dict[str, Search]:
    """Return every search by name. Raises ConfigError for an unknown mixture, component or size."""
    searches = load_folder(Search, config_dir() / "searches")
    mixtures, sizes = load_mixtures(), load_sizes()
    for name, search in searches.items():
        if search.mixture not in mixtures:
            raise ConfigError(
                f"searches/{name}.yaml: no mixture {search.mixture!r}; there are: {', '.join(mixtures)}"
            )
        known = mixtures[search.mixture].components
        if unknown := [part for part in search.components if part not in known]:
            raise ConfigError(
                f"searches/{name}.yaml: {search.mixture} has no component {unknown[0]!r} of its own; it has: "
                f"{', '.join(known)}"
            )
        if search.proxy.size not in sizes:
            raise ConfigError(
                f"searches/{name}.yaml: no size {search.proxy.size!r}; there are: {', '.join(sizes)}"
            )
    return searches


def proxy_job(
    name: str,
    proxy: Proxy,
    shape: ModelShape,
    *,
    vocab_size: int,
    data: TokenData,
    fingerprint: str,
    base: Path,
    threads: int,
    group_dro: GroupDro | None = None,
) -> TrainingJob:
    """Return the job that trains a proxy of the search `name` on `data`; paths are relative to `base`."""
    return TrainingJob(
        experiment=f"search-{name}",
        fingerprint=fingerprint,
        base=base,
        model=ModelSize(vocab_size=vocab_size, **shape.model_dump()),
        data=data,
        threads=threads,
        checkpoint_every=proxy.steps,
        validate_every=proxy.steps,
        keep=1,
        group_dro=group_dro,
        **proxy.model_dump(exclude=set(_ONLY_OURS)),
    )

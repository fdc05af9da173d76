"""Experiments: one file a run, `config/experiments/<name>.yaml`; and the table of model sizes."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config, config_dir, load, load_folder
from phoenix_assets.errors import ConfigError
from phoenix_assets.order.config import DataOrder, OrderConfig
from phoenix_assets.tokens.config import (
    TOKENIZER,
    Checkpoint,
    ExtensionConfig,
    load_extensions,
    tokens_key,
)
from training_jobs.job import (
    Batch,
    Hardware,
    ModelShape,
    ModelSize,
    Optimizer,
    Precision,
    Schedule,
    Start,
    TokenData,
    TrainingJob,
)

# Of an experiment: what is no setting of its job, or is given to it as paths.
_OURS: Final = {"description", "size", "mixture", "tokenizer", "start", "parent", "order", "baseline_tokens"}


class Experiment(Config):
    """One training run, as a person writes it."""

    description: str
    size: str
    mixture: str
    tokenizer: str = TOKENIZER  # an extended one: the name of a file in `config/tokenizer_extensions/`
    start: Checkpoint | None = None  # whose weights it starts from; none: from the seed
    parent: str | None = None  # the experiment that the leaderboard compares with; default: that of `start`
    batch: Batch
    hardware: Hardware
    steps: int = Field(gt=0)
    optimizer: Optimizer
    schedule: Schedule = Schedule.COSINE
    precision: Precision = Precision.FP32
    checkpoint_every: int = Field(gt=0)
    validate_every: int = Field(gt=0)
    validation_sequences: int = Field(gt=0)
    seed: int = Field(ge=0)
    order: OrderConfig = OrderConfig()  # in which order the data comes
    baseline_tokens: int = Field(50_000_000, gt=0)  # tokens that the unigram baseline counts, at most

    @model_validator(mode="after")
    def _groups_come_in_time(self) -> Self:
        if self.order.groups is not None and self.order.groups.from_step > self.steps:
            raise ValueError(
                f"order.groups: from_step {self.order.groups.from_step} is after the run's last step, {self.steps}"
            )
        return self

    @property
    def compared_with(self) -> str | None:
        """The experiment that the leaderboard compares with."""
        return self.start.experiment if self.parent is None and self.start is not None else self.parent

    @property
    def tokens(self) -> str:
        """Asset path of the tokens that it trains on."""
        return tokens_key(self.mixture, self.tokenizer)

    def saves_at(self, step: int) -> bool:
        """Tell whether it leaves a checkpoint at `step`."""
        return step == self.steps or (step < self.steps and step % self.checkpoint_every == 0)

    def data_order(self) -> DataOrder:
        """Return all that decides the order of the data."""
        return DataOrder(
            mixture=self.mixture,
            tokenizer=self.tokenizer,
            sequence_length=self.batch.sequence_length,
            global_batch=self.batch.sequences,
            seed=self.seed,
            options=self.order,
        )


def load_experiments() -> dict[str, Experiment]:
    """Return every experiment by name. Raises ConfigError when one names what there is not, or they form a cycle."""
    experiments = load_folder(Experiment, config_dir() / "experiments")
    sizes, extensions = load_sizes(), load_extensions()
    for name, experiment in experiments.items():
        if experiment.size not in sizes:
            raise ConfigError(
                f"experiments/{name}.yaml: no size {experiment.size!r}; there are: {', '.join(sizes)}"
            )
        if experiment.tokenizer not in (TOKENIZER, *extensions):
            raise ConfigError(
                f"experiments/{name}.yaml: no tokenizer {experiment.tokenizer!r}; there are: "
                f"{', '.join((TOKENIZER, *extensions))}"
            )
        if experiment.parent is not None and experiment.parent not in experiments:
            raise ConfigError(f"experiments/{name}.yaml: parent {experiment.parent!r} is not an experiment")
        if experiment.start is not None:
            _require_checkpoint(f"experiments/{name}.yaml: start", experiment.start, experiments)
    for name, extension in extensions.items():
        if extension.checkpoint is not None:
            _require_checkpoint(f"tokenizer_extensions/{name}.yaml", extension.checkpoint, experiments)
    _refuse_cycle(experiments, extensions)
    return experiments


def _require_checkpoint(where: str, checkpoint: Checkpoint, experiments: Mapping[str, Experiment]) -> None:
    """Raise ConfigError unless the experiment is there and leaves a checkpoint at the step."""
    of = experiments.get(checkpoint.experiment)
    if of is None:
        raise ConfigError(
            f"{where}: {checkpoint.experiment!r} is not an experiment; there are: {', '.join(experiments)}"
        )
    if not of.saves_at(checkpoint.step):
        raise ConfigError(
            f"{where}: {checkpoint.experiment} leaves no checkpoint at step {checkpoint.step}; it leaves one every "
            f"{of.checkpoint_every} steps and at its last one, {of.steps}"
        )


def _refuse_cycle(experiments: Mapping[str, Experiment], extensions: Mapping[str, ExtensionConfig]) -> None:
    """Raise ConfigError when an experiment needs a checkpoint of its own, or of one that needs its."""
    needed: dict[str, set[str]] = {}
    for name, experiment in experiments.items():
        extension = extensions.get(experiment.tokenizer)
        of = (experiment.start, None if extension is None else extension.checkpoint)
        needed[name] = {checkpoint.experiment for checkpoint in of if checkpoint is not None}
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as error:
        raise ConfigError(
            f"experiments need each other's checkpoints: {' → '.join(error.args[1])}; change one `start`"
        ) from error


def load_sizes() -> dict[str, ModelShape]:
    """Return the table of model sizes, `config/model_sizes.yaml`."""
    return dict(load(_Sizes, config_dir() / "model_sizes.yaml").sizes)


def training_job(
    name: str,
    experiment: Experiment,
    shape: ModelShape,
    *,
    vocab_size: int,
    data: TokenData,
    fingerprint: str,
    base: Path,
    threads: int,
    start: Start | None = None,
) -> TrainingJob:
    """Return the job that trains `experiment` on `data`; paths are relative to `base`."""
    shared = experiment.model_dump(exclude=_OURS)
    return TrainingJob(
        experiment=name,
        fingerprint=fingerprint,
        base=base,
        model=ModelSize(vocab_size=vocab_size, **shape.model_dump()),
        data=data,
        threads=threads,
        start=start,
        **shared,
    )


class _Sizes(Config):
    sizes: dict[str, ModelShape]

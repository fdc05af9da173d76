"""Experiments: one file a run, `config/experiments/<name>.yaml`; and the table of model sizes."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config, config_dir, load, load_folder
from phoenix_assets.errors import ConfigError
from phoenix_assets.order.config import DataOrder, OrderConfig
from training_jobs.job import (
    Accelerator,
    ModelShape,
    ModelSize,
    Optimizer,
    Precision,
    Schedule,
    TokenData,
    TrainingJob,
)


class Experiment(Config):
    """One training run, as a person writes it."""

    description: str
    size: str
    mixture: str
    parent: str | None = None  # the experiment that the leaderboard compares with
    sequence_length: int = Field(gt=0)
    global_batch_tokens: int = Field(gt=0)
    micro_batch_size: int = Field(gt=0)
    steps: int = Field(gt=0)
    optimizer: Optimizer
    schedule: Schedule = Schedule.COSINE
    precision: Precision = Precision.FP32
    accelerator: Accelerator = Accelerator.CPU
    devices: int = Field(1, gt=0)
    nodes: int = Field(1, gt=0)
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

    def data_order(self) -> DataOrder:
        """Return all that decides the order of the data."""
        return DataOrder(
            mixture=self.mixture,
            sequence_length=self.sequence_length,
            global_batch=self.global_batch_tokens // self.sequence_length,
            seed=self.seed,
            options=self.order,
        )


def load_experiments() -> dict[str, Experiment]:
    """Return every experiment by name. Raises ConfigError for an unknown size or parent."""
    experiments = load_folder(Experiment, config_dir() / "experiments")
    sizes = load_sizes()
    for name, experiment in experiments.items():
        if experiment.size not in sizes:
            raise ConfigError(
                f"experiments/{name}.yaml: no size {experiment.size!r}; there are: {', '.join(sizes)}"
            )
        if experiment.parent is not None and experiment.parent not in experiments:
            raise ConfigError(f"experiments/{name}.yaml: parent {experiment.parent!r} is not an experiment")
    return experiments


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
) -> TrainingJob:
    """Return the job that trains `experiment` on `data`; paths are relative to `base`."""
    shared = experiment.model_dump(
        exclude={"description", "size", "mixture", "parent", "order", "baseline_tokens"}
    )
    return TrainingJob(
        experiment=name,
        fingerprint=fingerprint,
        base=base,
        model=ModelSize(vocab_size=vocab_size, **shape.model_dump()),
        data=data,
        threads=threads,
        **shared,
    )


class _Sizes(Config):
    sizes: dict[str, ModelShape]

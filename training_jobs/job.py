"""What a training run is: a frozen, typed `TrainingJob` that travels as `job.json`.

- **Identity** is the experiment's name and its fingerprint; `job_key` is made of them and names the folder.
- **What is learned** (model, data, order, optimizer, schedule, seed, precision) is fixed under one identity.
- **Execution** (base folder, hardware, threads, logging, supervision) may: it says where and how fast, not what.
- Paths are relative to `base`, so that a state folder can be moved or mounted elsewhere.
"""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from pydantic import Field, ValidationError, model_validator

from phoenix_assets.config import Config
from training_jobs.atomic_file import write_atomically
from training_jobs.errors import TrainingJobError

JOB_FILE: Final = "job.json"
EXECUTION_FIELDS: Final = frozenset({"base", "hardware", "threads", "log_every", "keep", "supervision"})


class Precision(StrEnum):
    """Number formats of a run, by Lightning's names; weights and optimizer state are always 32 bits."""

    FP32 = "32-true"
    BF16 = "bf16-mixed"


class Accelerator(StrEnum):
    """The kind of device that a run trains on."""

    CPU = "cpu"
    GPU = "gpu"


class Schedule(StrEnum):
    """Learning-rate schedules, by NeMo's names."""

    COSINE = "CosineAnnealing"


class Batch(Config):
    """The global batch: what one step learns from."""

    tokens: int = Field(gt=0)
    sequence_length: int = Field(gt=0)  # tokens

    @model_validator(mode="after")
    def _whole_sequences(self) -> Self:
        if self.tokens % self.sequence_length:
            raise ValueError(
                f"tokens {self.tokens} must be a multiple of sequence_length {self.sequence_length}"
            )
        return self

    @property
    def sequences(self) -> int:
        """Sequences a step."""
        return self.tokens // self.sequence_length


class Hardware(Config):
    """What a run trains on: one process, a data-parallel rank, a device."""

    accelerator: Accelerator = Accelerator.CPU
    devices: int = Field(default=1, gt=0)  # of each node
    nodes: int = Field(default=1, gt=0)
    micro_batch_size: int = Field(gt=0)  # sequences that a device takes at once

    @property
    def ranks(self) -> int:
        """Data-parallel ranks."""
        return self.devices * self.nodes


class ModelShape(Config):
    """A Llama-shaped decoder without its vocabulary: numbers of layers, features, heads and tokens."""

    layers: int = Field(gt=0)
    hidden: int = Field(gt=0)
    ffn: int = Field(gt=0)
    heads: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    context: int = Field(gt=0)
    tie_embeddings: bool = True
    rope_theta: float = Field(default=10_000.0, gt=0)
    norm_eps: float = Field(default=1e-5, gt=0)
    initializer_range: float = Field(default=0.02, gt=0)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden % self.heads or self.heads % self.kv_heads:
            raise ValueError(
                f"hidden {self.hidden} must be a multiple of heads {self.heads}, and that of {self.kv_heads}"
            )
        if (self.hidden // self.heads) % 2:
            raise ValueError(f"the head size {self.hidden // self.heads} must be even (rotary)")
        return self


class ModelSize(ModelShape):
    """A decoder with its vocabulary, which the tokenizer decides."""

    vocab_size: int = Field(gt=0)

    def parameters(self) -> int:
        """Return the exact number of trainable parameters (tied embeddings count once)."""
        embeddings = self.vocab_size * self.hidden * (1 if self.tie_embeddings else 2)
        key_value = self.kv_heads * (self.hidden // self.heads)
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * key_value
        layer = attention + 3 * self.hidden * self.ffn + 2 * self.hidden
        return embeddings + self.layers * layer + self.hidden


class TokenData(Config):
    """Indexed token shards (Megatron `.bin`/`.idx`, given without suffix, in order), plan and tokenizer."""

    train: tuple[Path, ...] = Field(min_length=1)
    order: Path  # folder of the data-order plan over the train shards
    validation: tuple[Path, ...] = ()
    tokenizer_json: Path
    eod_id: int = Field(ge=0)


class Optimizer(Config):
    """AdamW with linear warm-up and annealing to `min_lr` (a tenth of `lr` unless given)."""

    lr: float = Field(gt=0)
    min_lr: float | None = Field(default=None, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    grad_clip: float = Field(default=1.0, gt=0)

    @property
    def final_lr(self) -> float:
        """The learning rate that the schedule ends at."""
        return self.lr / 10 if self.min_lr is None else self.min_lr


class Supervision(Config):
    """How the local supervisor watches a trainer (seconds)."""

    heartbeat: float = Field(default=5.0, gt=0)
    start: float = Field(default=60.0, gt=0)
    grace: float = Field(default=30.0, gt=0)


class Start(Config):
    """What a run starts from: the weights of a checkpoint, with rows for the tokens that its tokenizer did not have."""

    checkpoint: Path  # folder
    added_tokens: Path | None = None  # .parquet of `id` and `parts`, where the tokenizer is an extended one


class GroupDro(Config):
    """Domain weights that are learned while training: `training_jobs.group_dro`."""

    reference: Path  # checkpoint folder of the model whose losses are compared with
    domains: Path  # .npy: the domain of each sequence of the order plan
    count: int = Field(ge=2)  # domains
    step_size: float = Field(gt=0)
    smoothing: float = Field(ge=0, lt=1)


class TrainingJob(Config):
    """One run: everything a trainer needs to know, and nothing about who asked for it."""

    experiment: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    fingerprint: str = Field(min_length=1)
    base: Path = Path()
    start: Start | None = None  # none: from the seed
    group_dro: GroupDro | None = None
    model: ModelSize
    data: TokenData
    batch: Batch
    hardware: Hardware
    steps: int = Field(gt=0)
    optimizer: Optimizer
    schedule: Schedule = Schedule.COSINE
    seed: int = Field(default=1234, ge=0)
    precision: Precision = Precision.FP32
    threads: int = Field(default=2, gt=0)
    checkpoint_every: int = Field(gt=0)
    validate_every: int = Field(gt=0)
    validation_sequences: int = Field(default=32, gt=0)
    log_every: int = Field(default=1, gt=0)
    keep: int | None = Field(default=None, gt=0)  # newest whole checkpoints to keep; none: all
    supervision: Supervision = Supervision()

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        ranks, micro = self.hardware.ranks, self.hardware.micro_batch_size
        if self.batch.sequences % (ranks * micro):
            raise ValueError(
                f"{self.batch.sequences} sequences a step must be a multiple of {ranks} ranks x micro_batch_size {micro}"
            )
        if self.batch.sequence_length > self.model.context:
            raise ValueError(
                f"sequence_length {self.batch.sequence_length} exceeds the context {self.model.context}"
            )
        if self.data.eod_id >= self.model.vocab_size:
            raise ValueError(
                f"eod_id {self.data.eod_id} is outside the vocabulary of {self.model.vocab_size}"
            )
        return self

    @property
    def job_key(self) -> str:
        """The identity: names the state folder, the cluster job and every checkpoint."""
        identity = f"{self.experiment}\x00{self.fingerprint}"
        return f"{self.experiment}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"

    @property
    def rank_batch(self) -> int:
        """Sequences a step and rank."""
        return self.batch.sequences // self.hardware.ranks

    @property
    def accumulation(self) -> int:
        """Micro-batches a step and rank."""
        return self.rank_batch // self.hardware.micro_batch_size

    def resolve(self, path: Path) -> Path:
        """Return `path` as seen from `base`; an absolute path stays as it is."""
        return self.base / path

    def same_run(self, other: "TrainingJob") -> bool:
        """Tell whether `other` learns the same from the same data, wherever and however fast it runs."""
        skip = set(EXECUTION_FIELDS)
        return self.model_dump(mode="json", exclude=skip) == other.model_dump(mode="json", exclude=skip)

    def save(self, state_dir: Path) -> None:
        """Write `job.json` into `state_dir`."""
        write_atomically(state_dir / JOB_FILE, self.model_dump_json(indent=2))

    @classmethod
    def load(cls, state_dir: Path) -> "TrainingJob":
        """Read `job.json` of `state_dir`. Raises TrainingJobError when it is missing or malformed."""
        path = state_dir / JOB_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise TrainingJobError(f"{path}: not a training job: {error}") from error

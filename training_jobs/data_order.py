"""Which tokens each step trains on: the data-order plan, a few arrays on disk, known without a trainer.

- The **stream** is the corpus as the plan orders it: **pieces** of the train shards (all joined in order), end
  to end. What stays as the shards have it is one piece; a piece may come again, or not at all.
- A **sequence** is a window of `sequence_length` + 1 tokens of the stream; windows advance by
  `sequence_length`: the last target of one is the first input of the next. Left-overs are unused.
- A **place** is a turn at which a sequence is served; `places` names the sequence of each, every one once.
- **Steps count from 1**: step s takes the places (s - 1) * `global_batch` … s * `global_batch` - 1; so by then
  `s * global_batch` sequences were served. A plan ends: no step is beyond the last whole global batch.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from phoenix_assets.config import Config
from training_jobs.atomic_file import write_atomically
from training_jobs.errors import OrderPlanError
from training_jobs.job import TrainingJob

KERNEL_VERSION: Final = "2"

FORMAT: Final = 1
HEADER_FILE: Final = "plan.json"
_ARRAYS: Final = ("places", "piece_starts", "piece_ends")

Indices = npt.NDArray[np.int64]


class PlanHeader(Config):
    """What `plan.json` says of the arrays beside it."""

    format: int = FORMAT
    sequence_length: int  # tokens
    global_batch: int  # sequences a step
    sequences: int
    data_tokens: int  # of the train shards that the pieces point into
    fingerprint: str  # SHA-256 of the arrays and of the numbers above


def sequence_count(total_tokens: int, sequence_length: int) -> int:
    """Return how many whole windows of `sequence_length` inputs and targets `total_tokens` tokens hold."""
    return max(0, total_tokens - 1) // sequence_length


@dataclass(frozen=True)
class OrderPlan:
    """A data-order plan; its arrays may be memory-mapped. `piece_ends` are offsets in the stream."""

    sequence_length: int
    global_batch: int
    data_tokens: int
    places: npt.NDArray[Any]  # unsigned: the sequence of each place
    piece_starts: Indices  # offset of each piece's first token in the joined train shards
    piece_ends: Indices  # offset in the stream after each piece's last token

    @property
    def steps(self) -> int:
        """How many steps the plan holds."""
        return len(self.places) // self.global_batch

    @property
    def stream_tokens(self) -> int:
        """Tokens of the stream, repeats included."""
        return int(self.piece_ends[-1]) if len(self.piece_ends) else 0

    @property
    def header(self) -> PlanHeader:
        """The plan's identity; reads all arrays."""
        numbers = (FORMAT, self.sequence_length, self.global_batch, len(self.places), self.data_tokens)
        total = hashlib.sha256(repr(numbers).encode())
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            total.update(repr((array.dtype.str, len(array))).encode())
            total.update(array.view(np.uint8).data)
        return PlanHeader(
            sequence_length=self.sequence_length,
            global_batch=self.global_batch,
            sequences=len(self.places),
            data_tokens=self.data_tokens,
            fingerprint=total.hexdigest(),
        )

    def batch(self, step: int) -> Indices:
        """Return the sequences of step `step` (from 1), in the order in which ranks share them.

        Raises OrderPlanError for a step that the plan does not have.
        """
        if not 1 <= step <= self.steps:
            raise OrderPlanError(f"step {step}: the plan has steps 1 to {self.steps}")
        end = step * self.global_batch
        return np.asarray(self.places[end - self.global_batch : end]).astype(np.int64)

    def spans(self, sequence: int, *, targets: bool = False) -> Iterator[tuple[int, int]]:
        """Yield the half-open ranges of shard tokens that make up a sequence's inputs, in order.

        With `targets` the last target comes too.
        """
        place = sequence * self.sequence_length
        end = place + self.sequence_length + int(targets)
        piece = int(np.searchsorted(self.piece_ends, place, side="right"))
        before = int(self.piece_ends[piece - 1]) if piece else 0
        while place < end:
            piece_end = int(self.piece_ends[piece])
            start = int(self.piece_starts[piece]) + place - before
            taken = min(end, piece_end) - place
            if taken:
                yield start, start + taken
            place, before, piece = place + taken, piece_end, piece + 1

    def in_stream(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return where in the stream the shard tokens start … end - 1 of one document stand, each occurrence.

        Pieces hold whole documents.
        """
        starts, ends = np.asarray(self.piece_starts), np.asarray(self.piece_ends)
        begins = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        holding = np.flatnonzero((starts <= start) & (end <= starts + ends - begins))
        return [
            (int(begins[piece] + start - starts[piece]), int(begins[piece] + end - starts[piece]))
            for piece in holding
        ]

    def steps_of(self, first: int, last: int, up_to_step: int) -> list[int]:
        """Return the steps 1..`up_to_step` that train on some sequence of `first` … `last`, ascending."""
        served = np.asarray(self.places[: self.served(up_to_step)])
        found = np.flatnonzero((served >= first) & (served <= last))
        return [int(step) + 1 for step in np.unique(found // self.global_batch)]

    def seen(self, up_to_step: int) -> npt.NDArray[np.bool_]:
        """Return for every sequence whether steps 1..`up_to_step` trained on it."""
        seen = np.zeros(len(self.places), dtype=np.bool_)
        seen[self.places[: self.served(up_to_step)]] = True
        return seen

    def served(self, step: int) -> int:
        """Return how many sequences steps 1..`step` consume: the position in the plan."""
        return min(max(0, step) * self.global_batch, len(self.places))

    def save(self, folder: Path) -> PlanHeader:
        """Write the plan's files into `folder`, the header last."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        header = self.header
        write_atomically(folder / HEADER_FILE, header.model_dump_json(indent=2))
        return header


def open_plan(folder: Path, *, verified: bool = False) -> tuple[OrderPlan, PlanHeader]:
    """Map the plan in `folder`; `verified` reads it all and compares it with its fingerprint.

    Raises OrderPlanError when a file is missing, cut short or not what the header says.
    """
    try:
        header = PlanHeader.model_validate_json((folder / HEADER_FILE).read_bytes())
        arrays = {name: _array(folder / f"{name}.npy") for name in _ARRAYS}
    except (OSError, ValueError, ValidationError) as error:
        raise OrderPlanError(
            f"{folder}: not a data-order plan: {error}; materialise the order again"
        ) from error
    plan = OrderPlan(header.sequence_length, header.global_batch, header.data_tokens, **arrays)
    whole = header.format == FORMAT and len(plan.places) == header.sequences
    if not whole or (verified and plan.header != header):
        raise OrderPlanError(
            f"{folder}: the arrays are not those of {HEADER_FILE}; materialise the order again"
        )
    return plan, header


def job_plan(job: TrainingJob) -> OrderPlan:
    """Map the job's plan. Raises OrderPlanError when it was made for other batches or ends before the job does."""
    plan, _ = open_plan(job.resolve(job.data.order))
    if (plan.sequence_length, plan.global_batch) != (job.batch.sequence_length, job.batch.sequences):
        raise OrderPlanError(
            f"{job.experiment}: the order plan is for {plan.global_batch} sequences of {plan.sequence_length} "
            f"tokens a step, the job takes {job.batch.sequences} of {job.batch.sequence_length}; "
            f"materialise order/{job.experiment} again"
        )
    if plan.steps < job.steps:
        raise OrderPlanError(
            f"{job.experiment}: {job.steps} steps of {plan.global_batch} sequences do not fit: the order plan has "
            f"{len(plan.places)} sequences, enough for {plan.steps} steps; lower `steps`, or allow more passes "
            "over the data with `order: {passes: …}` and the `max_epochs` of the mixture's components"
        )
    return plan


def _array(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array.view(np.ndarray)

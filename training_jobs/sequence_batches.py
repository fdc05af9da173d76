"""Serve the micro-batches of one rank, exactly as `SequenceOrder` says, from any step on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import IterableDataset

from training_jobs.data_order import Indices, SequenceOrder, sequence_count
from training_jobs.errors import TrainingJobError
from training_jobs.indexed_tokens import IndexedTokens
from training_jobs.job import TrainingJob

Batch = dict[str, torch.Tensor]


def train_tokens(job: TrainingJob) -> IndexedTokens:
    """Open the job's train shards."""
    return IndexedTokens([job.resolve(prefix) for prefix in job.data.train])


def sequence_order(job: TrainingJob, tokens: IndexedTokens) -> SequenceOrder:
    """Return the order in which the job goes through `tokens`. Raises TrainingJobError when it holds none."""
    count = sequence_count(tokens.total, job.sequence_length)
    if count == 0:
        raise TrainingJobError(
            f"{job.experiment}: {tokens.total} tokens are less than one sequence of the job"
        )
    return SequenceOrder(count, job.global_batch, job.seed)


def read_sequences(tokens: IndexedTokens, sequences: Indices, sequence_length: int) -> Batch:
    """Return `input_ids` and `labels` (the next tokens) of shape (sequences, length), and their indices."""
    rows = torch.from_numpy(tokens.windows(sequences * sequence_length, sequence_length + 1))
    return {
        "input_ids": rows[:, :-1].contiguous(),
        "labels": rows[:, 1:].contiguous(),
        "sequences": torch.from_numpy(sequences.copy()),
    }


@dataclass(frozen=True)
class RankPart:
    """The contiguous part of each global batch that one data-parallel rank takes."""

    rank: int
    size: int

    def of(self, sequences: Indices) -> Indices:
        """Return this rank's part of `sequences`."""
        return sequences[self.rank * self.size : (self.rank + 1) * self.size]


class TrainBatches(IterableDataset[Batch]):
    """The micro-batches of steps `done` + 1 .. `steps` for one rank, in order."""

    def __init__(self, job: TrainingJob, tokens: IndexedTokens, *, rank: int, done: int) -> None:
        self._job = job
        self._tokens = tokens
        self._order = sequence_order(job, tokens)
        self._part = RankPart(rank, job.rank_batch)
        self._done = done

    def __iter__(self) -> Iterator[Batch]:
        job = self._job
        for step in range(self._done + 1, job.steps + 1):
            for micro in np.split(self._part.of(self._order.batch(step)), job.accumulation):
                yield read_sequences(self._tokens, micro, job.sequence_length)


def validation_batches(job: TrainingJob, *, rank: int) -> list[Batch]:
    """Return one rank's micro-batches of the fixed validation windows, evenly spread over their shards."""
    tokens = IndexedTokens([job.resolve(prefix) for prefix in job.data.validation])
    available = sequence_count(tokens.total, job.sequence_length)
    wanted = min(job.validation_sequences, available)
    chosen = np.arange(wanted, dtype=np.int64) * available // max(1, wanted)
    mine = np.array_split(chosen, job.world_size)[rank]
    starts = range(0, len(mine), job.micro_batch_size)
    return [read_sequences(tokens, mine[i : i + job.micro_batch_size], job.sequence_length) for i in starts]

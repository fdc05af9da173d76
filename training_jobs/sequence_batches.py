"""Serve the micro-batches of one rank, exactly as the data-order plan says, from any step on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import IterableDataset

from training_jobs.data_order import Indices, OrderPlan, job_plan, sequence_count
from training_jobs.errors import OrderPlanError, TokenFileError
from training_jobs.indexed_tokens import IndexedTokens
from training_jobs.job import TrainingJob

Batch = dict[str, torch.Tensor]


def train_tokens(job: TrainingJob) -> IndexedTokens:
    """Open the job's train shards."""
    return IndexedTokens([job.resolve(prefix) for prefix in job.data.train])


def order_plan(job: TrainingJob, tokens: IndexedTokens) -> OrderPlan:
    """Map the job's data-order plan. Raises OrderPlanError unless it is for `tokens` and holds all of the steps."""
    plan = job_plan(job)
    if plan.data_tokens != tokens.total:
        raise OrderPlanError(
            f"{job.experiment}: the order plan is for {plan.data_tokens} tokens, the train shards hold "
            f"{tokens.total}; materialise order/{job.experiment} again"
        )
    return plan


def read_sequences(tokens: IndexedTokens, plan: OrderPlan, sequences: Indices, vocab_size: int) -> Batch:
    """Return `input_ids` and `labels` (the next tokens) of shape (sequences, length), and their indices.

    Raises TokenFileError for a token id beyond the vocabulary.
    """
    rows = np.empty((len(sequences), plan.sequence_length + 1), np.int64)
    for row, sequence in zip(rows, sequences.tolist(), strict=True):
        filled = 0
        for start, end in plan.spans(sequence, targets=True):
            row[filled : filled + end - start] = tokens.read(start, end)
            filled += end - start
    return _batch(rows, sequences, vocab_size)


def _batch(rows: Indices, sequences: Indices, vocab_size: int) -> Batch:
    if rows.size and (greatest := int(rows.max())) >= vocab_size:
        sequence = int(sequences[np.flatnonzero((rows == greatest).any(axis=1))[0]])
        raise TokenFileError(
            f"sequence {sequence} holds the token id {greatest}, beyond the vocabulary of {vocab_size}: "
            "tokens and tokenizer do not belong together; materialise the tokens again"
        )
    windows = torch.from_numpy(rows)
    return {
        "input_ids": windows[:, :-1].contiguous(),
        "labels": windows[:, 1:].contiguous(),
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
        self._plan = order_plan(job, tokens)
        self._part = RankPart(rank, job.rank_batch)
        self._done = done

    def __iter__(self) -> Iterator[Batch]:
        job = self._job
        for step in range(self._done + 1, job.steps + 1):
            for micro in np.split(self._part.of(self._plan.batch(step)), job.accumulation):
                yield read_sequences(self._tokens, self._plan, micro, job.model.vocab_size)


def validation_batches(job: TrainingJob, *, rank: int) -> list[Batch]:
    """Return one rank's micro-batches of the fixed validation windows, evenly spread over their shards."""
    tokens = IndexedTokens([job.resolve(prefix) for prefix in job.data.validation])
    available = sequence_count(tokens.total, job.batch.sequence_length)
    wanted = min(job.validation_sequences, available)
    chosen = np.arange(wanted, dtype=np.int64) * available // max(1, wanted)
    mine = np.array_split(chosen, job.hardware.ranks)[rank]
    parts = [
        mine[i : i + job.hardware.micro_batch_size]
        for i in range(0, len(mine), job.hardware.micro_batch_size)
    ]
    length = job.batch.sequence_length
    return [_batch(tokens.windows(part * length, length + 1), part, job.model.vocab_size) for part in parts]

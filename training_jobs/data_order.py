"""Which sequences a step trains on: one total function of the step, known without a trainer.

- A **sequence** is a window of `sequence_length` + 1 tokens over all train shards joined in order; windows
  advance by `sequence_length`: the last target of one is the first input of the next. Left-overs are unused.
- **Steps count from 1**: `batch(step)` is what the optimizer's update number `step` learned from, and what a
  message or a checkpoint that says `step` means. By then `step * global_batch` sequences were served.
- Each **epoch** has its own permutation: the ranks of the raw output of PCG64 seeded by (seed, epoch). NumPy
  guarantees raw bit streams across versions (NEP 19) and does not guarantee `Generator.permutation`.
- Batches run on over the end of an epoch; nothing is dropped there.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

KERNEL_VERSION: Final = "1"

Indices = npt.NDArray[np.int64]


def sequence_count(total_tokens: int, sequence_length: int) -> int:
    """Return how many whole windows of `sequence_length` inputs and targets `total_tokens` tokens hold."""
    return max(0, total_tokens - 1) // sequence_length


def token_span(sequence: int, sequence_length: int) -> tuple[int, int]:
    """Return the half-open range of global token offsets that a sequence reads (inputs and last target)."""
    start = sequence * sequence_length
    return start, start + sequence_length + 1


@lru_cache(maxsize=4)
def _permutation(n_sequences: int, seed: int, epoch: int) -> Indices:
    keys = np.random.PCG64(np.random.SeedSequence([seed, epoch])).random_raw(n_sequences)
    order = np.argsort(keys, kind="stable").astype(np.int64, copy=False)
    order.setflags(write=False)
    return order


class SequenceOrder:
    """The order in which a run of `global_batch` sequences a step goes through `n_sequences` sequences."""

    def __init__(self, n_sequences: int, global_batch: int, seed: int) -> None:
        if n_sequences < 1 or global_batch < 1:
            raise ValueError(
                f"cannot order {n_sequences} sequences in batches of {global_batch}: both must be >= 1"
            )
        self.n_sequences = n_sequences
        self.global_batch = global_batch
        self.seed = seed

    def epoch_order(self, epoch: int) -> Indices:
        """Return the permutation of all sequences in epoch `epoch` (from 0), read-only."""
        return _permutation(self.n_sequences, self.seed, epoch)

    def batch(self, step: int) -> Indices:
        """Return the sequence indices of step `step` (from 1), in the order in which ranks share them."""
        if step < 1:
            raise ValueError(f"step {step}: steps count from 1")
        position = (step - 1) * self.global_batch
        end = position + self.global_batch
        parts = []
        while position < end:
            epoch, offset = divmod(position, self.n_sequences)
            part = self.epoch_order(epoch)[offset : offset + end - position]
            parts.append(part)
            position += len(part)
        return np.concatenate(parts)

    def steps_of(self, sequence: int, up_to_step: int) -> list[int]:
        """Return the steps 1..`up_to_step` that trained on `sequence`, ascending, once an occurrence."""
        if not 0 <= sequence < self.n_sequences:
            raise ValueError(f"sequence {sequence} is outside 0..{self.n_sequences - 1}")
        served = self.served(up_to_step)
        steps = []
        for epoch in range(-(-served // self.n_sequences)):
            position = epoch * self.n_sequences + int(np.flatnonzero(self.epoch_order(epoch) == sequence)[0])
            if position < served:
                steps.append(position // self.global_batch + 1)
        return steps

    def times_seen(self, up_to_step: int) -> Indices:
        """Return for every sequence how often steps 1..`up_to_step` trained on it."""
        passes, rest = divmod(self.served(up_to_step), self.n_sequences)
        counts = np.full(self.n_sequences, passes, dtype=np.int64)
        if rest:
            counts[self.epoch_order(passes)[:rest]] += 1
        return counts

    def served(self, step: int) -> int:
        """Return how many sequences, repeats included, steps 1..`step` consume: the order's position."""
        return max(0, step) * self.global_batch

    def epochs(self, step: int) -> float:
        """Return how many passes over the data steps 1..`step` make."""
        return self.served(step) / self.n_sequences

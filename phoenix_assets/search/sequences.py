"""The data of a proxy: so many sequences of each component, spread evenly over the run.

Each component's documents stand end to end and are cut into sequences by themselves, so that a sequence belongs to one
component. Documents are shuffled in the shards: the first ones are a sample, and every proxy has the same. A
component that is too short for its weight comes again from its start.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from phoenix_assets.errors import ConfigError
from training_jobs.data_order import OrderPlan

KERNEL_VERSION: Final = "1"

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Strand:
    """Documents of one kind, end to end: where in the joined shards each begins, and how long it is."""

    starts: Integers
    lengths: Integers

    @property
    def tokens(self) -> int:
        """Tokens of all documents."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class Mixed:
    """A data-order plan, and the kind of each of its sequences: the number of its strand."""

    plan: OrderPlan
    kinds: Integers


def strands(lengths: npt.NDArray[Any], kinds: npt.NDArray[Any], count: int, tokens: int) -> list[Strand]:
    """Return for each kind 0 … count - 1 its first documents, as many as hold `tokens` tokens, or all.

    `lengths` and `kinds` have an entry a document, in the order of the shards.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    found = []
    for kind in range(count):
        rows = np.flatnonzero(kinds == kind)
        reached = np.cumsum(lengths[rows], dtype=np.int64)
        rows = rows[: int(np.searchsorted(reached, tokens)) + 1]
        own = lengths[rows].astype(np.int64)
        found.append(Strand(ends[rows] - own, own))
    return found


def mix_sequences(
    sources: list[Strand],
    counts: Integers,
    *,
    sequence_length: int,
    global_batch: int,
    data_tokens: int,
    seed: int,
) -> Mixed:
    """Return a plan that serves `counts[i]` sequences of strand i, in the same proportions all along.

    A strand's part of the stream is one sequence longer than is served, so that no target is of the next strand.
    Raises ConfigError when sequences are asked of a strand without tokens.
    """
    starts, ends, served, turns, kinds = [], [], [], [], []
    first = 0
    for kind, (source, count) in enumerate(zip(sources, counts.tolist(), strict=True)):
        if not count:
            continue
        piece_starts, piece_ends = _pieces(source, (count + 1) * sequence_length)
        starts.append(piece_starts)
        ends.append(first * sequence_length + piece_ends)
        served.append(first + _shuffled(count, seed, kind))
        turns.append((np.arange(count) + 0.5) / count)
        kinds.append(np.full(count + 1, kind, dtype=np.int64))
        first += count + 1
    order = np.argsort(np.concatenate(turns), kind="stable")
    plan = OrderPlan(
        sequence_length=sequence_length,
        global_batch=global_batch,
        data_tokens=data_tokens,
        places=np.concatenate(served)[order].astype(np.min_scalar_type(first)),
        piece_starts=np.concatenate(starts),
        piece_ends=np.concatenate(ends),
    )
    return Mixed(plan, np.concatenate(kinds))


def _pieces(source: Strand, tokens: int) -> tuple[Integers, Integers]:
    """Return pieces that hold `tokens` tokens: the strand from its start, again and again, the last one cut."""
    if not source.tokens:
        raise ConfigError(
            "a component without training tokens has a weight; leave it out of the search's components"
        )
    passes = -(-tokens // source.tokens)
    ends = np.cumsum(np.tile(source.lengths, passes))
    used = int(np.searchsorted(ends, tokens)) + 1
    return np.tile(source.starts, passes)[:used], np.minimum(ends[:used], tokens)


def _shuffled(count: int, seed: int, kind: int) -> Integers:
    drawn = np.random.PCG64(np.random.SeedSequence([seed, kind])).random_raw(count)
    return np.argsort(drawn, kind="stable")

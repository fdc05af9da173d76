"""Places: which sequence of a stream is served when.

Sequences that share something whole are one **block** and stay side by side; any other sequence is a block of
its own. Concentrated components and groups take their places first, in steps spread evenly; the blocks that
are left fill the free places, shuffled within each pass. A block is placed by its first token.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from phoenix_assets.errors import ConfigError
from phoenix_assets.order.config import Concentration, DataOrder, Groups
from phoenix_assets.order.stream import Integers, Rows, Stream
from training_jobs.data_order import sequence_count

KERNEL_VERSION: Final = "1"

_GOLDEN: Final = 0.6180339887498949  # phases of classes that are spread evenly: never two alike


def place_sequences(stream: Stream, order: DataOrder, classes: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """Return the sequence of each place, every sequence of the stream once.

    `classes` has a class for each document of the stream; blocks are then spread so that each class has its
    share everywhere, and else drawn. Raises ConfigError when something does not fit its places.
    """
    sequences = sequence_count(stream.tokens, order.sequence_length)
    steps = sequences // order.global_batch
    if steps == 0:
        raise ConfigError(
            f"order: mixture {order.mixture} has {sequences} sequences of {order.sequence_length} tokens, less than "
            f"one global batch of {order.global_batch}; lower batch.tokens"
        )
    blocks = _blocks(stream, sequences, order.sequence_length)
    taken = _Taken(np.zeros(steps, dtype=np.int64), order.global_batch)
    places = np.full(sequences, -1, dtype=blocks.starts.dtype)
    left = np.ones(len(blocks.starts), dtype=np.bool_)
    options = order.options
    groups = _group_blocks(stream, blocks, order.sequence_length)
    if options.concentrate is not None:
        lanes = _lanes(stream, sequences, order.sequence_length)
        lanes[blocks.sequences(np.union1d(groups, np.flatnonzero(blocks.lengths > 1)))] = 0
        _concentrate(options.concentrate, lanes, places, taken)
        left &= lanes[blocks.starts] == 0
    if options.groups is not None:
        _place_groups(options.groups, blocks, groups, places, taken)
        left[groups] = False
    kind = None if classes is None else classes[stream.at(_offsets(blocks.starts, order.sequence_length))]
    rest = _ordered(blocks, left, _passes(stream, order.sequence_length), order, kind)
    places[places < 0] = rest
    return places.astype(np.min_scalar_type(sequences))


@dataclass(frozen=True)
class _Blocks:
    """Runs of sequences that stay together."""

    starts: Rows  # first sequence
    lengths: Rows

    @property
    def alone(self) -> bool:
        """Whether each block is one sequence: then its number is the sequence's."""
        return not len(self.starts) or len(self.starts) == int(self.starts[-1] + self.lengths[-1])

    def sequences(self, chosen: Integers) -> Rows:
        """Return the sequences of the chosen blocks, in their order."""
        if self.alone:
            return chosen
        lengths, kind = self.lengths[chosen], self.starts.dtype
        shift = self.starts[chosen] + lengths - np.cumsum(lengths, dtype=kind)
        found: Rows = np.repeat(shift, lengths)
        found += np.arange(len(found), dtype=kind)
        return found


@dataclass(frozen=True)
class _Taken:
    """How many places of each step are taken."""

    counts: Integers
    global_batch: int

    def take(self, step: int, count: int) -> slice:
        """Return the next `count` places of a step (from 0)."""
        start = step * self.global_batch + int(self.counts[step])
        self.counts[step] += count
        return slice(start, start + count)


def _blocks(stream: Stream, sequences: int, length: int) -> _Blocks:
    kind = np.min_scalar_type(-1 - sequences)  # half the memory below 2^31 sequences
    if stream.bound is None:
        return _Blocks(np.arange(sequences, dtype=kind), np.ones(sequences, dtype=kind))
    first, last = _bounds(stream, length)
    ties = np.zeros(sequences + 1, dtype=np.int32)
    np.add.at(ties, np.minimum(first, sequences), 1)
    np.add.at(ties, np.minimum(last, sequences), -1)
    tied = np.cumsum(ties, out=ties)[: sequences - 1] > 0  # whether a sequence and the next one are
    starts = np.flatnonzero(np.concatenate([[True], ~tied])).astype(kind)
    return _Blocks(starts, np.diff(starts, append=kind.type(sequences)))


def _bounds(
    stream: Stream, length: int, chosen: npt.NDArray[np.bool_] | None = None
) -> tuple[Integers, Integers]:
    """Return the first and the last sequence of everything bound (of the chosen documents), in stream order."""
    bound = stream.bound if stream.bound is not None else np.empty(0, dtype=np.int8)
    alone = bound.dtype.type(-1)
    begins = np.flatnonzero((bound >= 0) & (np.diff(bound, prepend=alone) != 0))
    closes = np.flatnonzero((bound >= 0) & (np.diff(bound, append=alone) != 0))
    if chosen is not None:
        begins, closes = begins[chosen[begins]], closes[chosen[closes]]
    start = np.where(begins > 0, stream.ends[begins - 1], 0)
    return start // length, np.maximum(start, stream.ends[closes] - 1) // length


def _lanes(stream: Stream, sequences: int, length: int) -> npt.NDArray[np.int8]:
    """Return the lane of each sequence: that of its first token."""
    lanes = stream.lanes if stream.lanes is not None else np.zeros(len(stream.rows), dtype=np.int8)
    return lanes[stream.at(np.arange(sequences) * length)]


def _offsets(sequences: Rows, length: int) -> Integers:
    return sequences.astype(np.int64) * length


def _concentrate(option: Concentration, lanes: npt.NDArray[np.int8], places: Integers, taken: _Taken) -> None:
    """Give each concentrated component its share of evenly spread steps, and none of the others."""
    steps, most = len(taken.counts), max(1, round(option.share * taken.global_batch))
    for number, name in enumerate(option.components, start=1):
        mine = np.flatnonzero(lanes == number)
        if len(mine) >= option.below * len(lanes):
            raise ConfigError(
                f"order.concentrate: {name} has {len(mine) / len(lanes):.1%} of the sequences, and sets below "
                f"{option.below:.0%} are concentrated; leave it out, or raise `below`"
            )
        filled = -(-len(mine) // most)
        if filled > steps:
            raise ConfigError(
                f"order.concentrate: {name} needs {filled} steps at {most} sequences each, the plan has {steps}; "
                "raise `share`"
            )
        for turn, step in enumerate(((np.arange(filled) + 0.5) * steps / max(1, filled)).astype(np.int64)):
            part = mine[turn * most : (turn + 1) * most]
            if taken.counts[step] + len(part) > taken.global_batch:
                raise ConfigError(f"order.concentrate: step {step + 1} has no room for {name}; lower `share`")
            places[taken.take(int(step), len(part))] = part


def _group_blocks(stream: Stream, blocks: _Blocks, length: int) -> Integers:
    """Return the numbers of the blocks that hold a group."""
    if stream.grouped is None:
        return np.empty(0, dtype=np.int64)
    first, _ = _bounds(stream, length, stream.grouped)
    inside = first[first < int(blocks.lengths.sum())]
    return np.unique(np.searchsorted(blocks.starts, inside, side="right") - 1)


def _place_groups(option: Groups, blocks: _Blocks, found: Integers, places: Integers, taken: _Taken) -> None:
    """Put each block with a group into one step, from the option's step on, spread evenly."""
    late = len(taken.counts) - option.from_step + 1
    if late < 1:
        raise ConfigError(
            f"order.groups: from_step {option.from_step} is after the plan's last step, {len(taken.counts)}"
        )
    largest = int(blocks.lengths[found].max(initial=0))
    if largest > taken.global_batch:
        raise ConfigError(
            f"order.groups: a group, with those whose sequences it shares, has {largest} sequences, a global batch "
            f"has {taken.global_batch}; group by something smaller or raise batch.tokens"
        )
    for turn, block in enumerate(found.tolist()):
        count = int(blocks.lengths[block])
        wanted = int((turn + 0.5) * late / len(found))
        free = np.flatnonzero(taken.counts[option.from_step - 1 :] + count <= taken.global_batch)
        if not len(free):
            raise ConfigError(
                f"order.groups: {len(found)} groups do not fit the {late} steps from step {option.from_step} on; "
                "lower from_step"
            )
        step = int(free[np.argmin(np.abs(free - wanted))]) + option.from_step - 1
        start = int(blocks.starts[block])
        places[taken.take(step, count)] = np.arange(start, start + count)


def _passes(stream: Stream, length: int) -> Integers:
    """Return the first sequence of each pass."""
    return -(-np.array(stream.passes, dtype=np.int64) // length)


def _ordered(
    blocks: _Blocks,
    left: npt.NDArray[np.bool_],
    passes: Integers,
    order: DataOrder,
    classes: npt.NDArray[Any] | None,
) -> Integers:
    """Return the sequences of the blocks that are left, shuffled within each pass."""
    bounds = np.searchsorted(blocks.starts, np.append(passes, int(blocks.lengths.sum())))
    chosen = []
    for number, (start, stop) in enumerate(pairwise(bounds.tolist())):
        mine = np.flatnonzero(left[start:stop])
        if order.options.shuffle:
            drawn = _drawn(len(mine), order.seed, number)
            mine = drawn if len(mine) == stop - start else mine[drawn]
        mine += start
        if classes is not None:
            mine = mine[_spread(classes[mine])]
        chosen.append(mine)
    return blocks.sequences(np.concatenate(chosen))


def _drawn(count: int, seed: int, number: int) -> Integers:
    """Return a permutation: the ranks of the raw output of PCG64 seeded by (seed, number).

    NumPy guarantees raw bit streams across versions (NEP 19) and does not guarantee `Generator.permutation`.
    Each key carries its own number in its low bits, so that keys are sorted and not their indices: faster,
    and the same on every machine.
    """
    low = np.uint64((1 << max(0, count - 1).bit_length()) - 1)
    keys = np.random.PCG64(np.random.SeedSequence([seed, number])).random_raw(count)
    keys &= ~low
    keys |= np.arange(count, dtype=np.uint64)
    keys.sort()
    keys &= low
    return keys.view(np.int64)


def _spread(classes: npt.NDArray[Any]) -> Integers:
    """Return an order in which each class is spread evenly, and keeps its own order."""
    by_class = np.argsort(classes, kind="stable")
    values, first, counts = np.unique(classes[by_class], return_index=True, return_counts=True)
    rank = np.arange(len(classes)) - np.repeat(first, counts)
    phase = np.repeat((np.arange(1, len(values) + 1) * _GOLDEN) % 1, counts)
    return by_class[np.argsort((rank + phase) / np.repeat(counts, counts), kind="stable")]

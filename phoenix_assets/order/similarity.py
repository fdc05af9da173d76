"""An order in which documents stand next to similar ones, so that a context holds what belongs together.

The aim is that of in-context pretraining (Shi et al. 2024, arXiv:2310.10638), at the price of a sort. A
document's vector is the sum of random signs of its tokens, frequent tokens weighing less, the mean taken off:
the sentence vectors of Arora et al. 2017 (SIF) with random word vectors. Documents are halved again and again
along the line between two that are far apart, until few are left; within those each is followed by the most
similar one that is not yet placed. The result depends on the tokens and the seed alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from phoenix_assets.order.config import Similar
from phoenix_assets.tokens.indexed import read_indexed

KERNEL_VERSION: Final = "1"

Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_DIMENSIONS: Final = 64  # the bits of one hash


def similarity_places(prefixes: Sequence[Path], config: Similar, seed: int) -> Integers:
    """Return each document's place in an order of similar ones; documents are those of the shards, in their order."""
    shards = [read_indexed(prefix) for prefix in prefixes]
    counts = np.zeros(0, dtype=np.int64)
    for shard in shards:
        counts = _added(counts, np.bincount(shard.tokens))
    weights = (config.frequency / (config.frequency + counts / max(1, counts.sum()))).astype(np.float32)
    parts = [
        vectors(shard.tokens, shard.starts, shard.lengths, weights, config.read_tokens, seed)
        for shard in shards
    ]
    rows = np.concatenate([np.empty((0, _DIMENSIONS), np.float32), *parts])
    rows -= rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    places = np.empty(len(rows), dtype=np.int64)
    places[chain(rows, config.compared)] = np.arange(len(rows))
    return places


def _added(left: Integers, right: Integers) -> Integers:
    total = np.zeros(max(len(left), len(right)), dtype=np.int64)
    total[: len(left)] += left
    total[: len(right)] += right
    return total


@njit(cache=True)
def vectors(
    tokens: npt.NDArray[Any],
    starts: Integers,
    lengths: npt.NDArray[np.int32],
    weights: Vectors,
    read_tokens: int,
    seed: int,
) -> Vectors:  # pragma: no cover
    """Return one row a document: the weighted sum of its tokens' random signs."""
    found = np.zeros((len(starts), 64), dtype=np.float32)
    for document in range(len(starts)):
        start = starts[document]
        for place in range(start, start + min(lengths[document], read_tokens)):
            token = np.int64(tokens[place])
            # SplitMix64: the token's 64 random signs.
            bits = np.uint64(token + 1) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
            bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            bits = bits ^ (bits >> np.uint64(31))
            weight = weights[token]
            for bit in range(64):
                if (bits >> np.uint64(bit)) & np.uint64(1):
                    found[document, bit] += weight
                else:
                    found[document, bit] -= weight
    return found


def chain(rows: Vectors, compared: int) -> Integers:
    """Return the rows' numbers in an order of similar ones; at most `compared` rows are compared each with each."""
    order = np.arange(len(rows), dtype=np.int64)
    waiting = [(0, len(rows))]
    while waiting:
        start, stop = waiting.pop()
        if stop - start <= compared:
            _follow(rows, order, start, stop)
            continue
        part = order[start:stop]
        one = part[np.argmin(rows[part] @ rows[part[0]])]
        other = part[np.argmin(rows[part] @ rows[one])]
        along = rows[part] @ (rows[other] - rows[one])
        order[start:stop] = part[np.argsort(along, kind="stable")]
        middle = (start + stop) // 2
        waiting += [(middle, stop), (start, middle)]  # the left one first: it is followed by the right one
    return order


@njit(cache=True)
def _follow(rows: Vectors, order: Integers, start: int, stop: int) -> None:  # pragma: no cover
    """Reorder order[start:stop]: each row is followed by the most similar one; the first follows the one before."""
    before = max(start - 1, 0)
    for place in range(start, stop):
        best, found = np.float32(-np.inf), place
        for candidate in range(place, stop):
            alike = np.float32(0)
            for column in range(rows.shape[1]):
                alike += rows[order[before], column] * rows[order[candidate], column]
            if alike > best:
                best, found = alike, candidate
        order[place], order[found] = order[found], order[place]
        before = place

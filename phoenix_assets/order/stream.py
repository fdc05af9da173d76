"""The stream of a data-order plan: which documents stand in it, how often, and in which order.

A document stands as the shards have it unless an option moves it. Each pass takes every document that its
component's `max_epochs` still allow; long documents may come more often. Then, each step on the order that the
one before left: similar documents next to each other, what belongs together side by side, concentrated
components apart at the pass's end. Whole columns are sorted; no step looks at single documents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.errors import ConfigError
from phoenix_assets.order.config import DataOrder, OrderConfig

KERNEL_VERSION: Final = "1"

Integers = npt.NDArray[np.int64]
Rows = npt.NDArray[Any]  # int8 … int64, by the number of documents


@dataclass(frozen=True)
class Belonging:
    """What each document belongs to: a number ≥ 0, or -1 for nothing; and its rank in there."""

    whole: Rows
    rank: Rows


@dataclass(frozen=True)
class Corpus:
    """What a plan needs to know of the documents: a row for each copy, in the order of the shards."""

    lengths: npt.NDArray[np.int32]  # tokens
    origins: npt.NDArray[Any]  # row of `kinds`
    kinds: (
        pl.DataFrame
    )  # component, copies (of a document in the corpus), copy; what else there is, is not read
    max_epochs: Mapping[str, float]  # of each component
    belonging: Belonging | None = None  # of the documents that `whole` and `groups` name
    similarity: Integers | None = None  # the place of each document in an order of similar ones

    @cached_property
    def ends(self) -> Integers:
        """Offset in the shards after each document's last token."""
        return np.cumsum(self.lengths, dtype=np.int64)

    def copy(self, rows: Rows) -> Integers:
        """Return which copy of its document each of `rows` is, from 0."""
        copies: Integers = self.kinds["copy"].to_numpy()[self.origins[rows]]
        return copies

    def codes(self, components: tuple[str, ...]) -> npt.NDArray[np.int8]:
        """Return for each document the number of its component in `components` from 1, or 0."""
        numbers = {name: number for number, name in enumerate(components, start=1)}
        by_kind = [numbers.get(name, 0) for name in self.kinds["component"]]
        codes: npt.NDArray[np.int8] = np.array(by_kind, dtype=np.int8)[self.origins]
        return codes


@dataclass(frozen=True)
class Stream:
    """Documents end to end. A column that no option needs is None."""

    rows: Rows  # row in the corpus of each document
    ends: Integers  # offset after each document's last token
    passes: tuple[int, ...]  # token offset at which each pass begins
    bound: Rows | None = None  # what stands together has one number ≥ 0, side by side; -1 stands alone
    grouped: npt.NDArray[np.bool_] | None = None  # whether what is bound must share one global batch
    lanes: npt.NDArray[np.int8] | None = None  # number of the concentrated component, from 1; 0 for others

    @property
    def tokens(self) -> int:
        """Tokens of the stream."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def at(self, offsets: Integers) -> Integers:
        """Return which document of the stream holds the token at each offset."""
        return np.searchsorted(self.ends, offsets, side="right")


def times(corpus: Corpus, options: OrderConfig) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return how often each row is to come in all passes, and how often it may: no more than `max_epochs` allow.

    A document that the corpus holds twice has two rows, and each may come half as often.
    """
    caps = [int(np.ceil(corpus.max_epochs[name])) for name in corpus.kinds["component"]]
    allowed = np.maximum(1, np.array(caps, dtype=np.int32) // corpus.kinds["copies"].to_numpy())
    wanted = np.full(len(corpus.lengths), options.passes, dtype=np.int32)
    if options.long_documents is not None:
        wanted[corpus.lengths >= options.long_documents.at_least] *= options.long_documents.times
    return wanted, np.minimum(wanted, allowed[corpus.origins])


def build_stream(corpus: Corpus, order: DataOrder) -> Stream:
    """Return the stream that `order` asks for. Raises ConfigError for a component that the mixture does not have."""
    options = order.options
    if unknown := sorted(set(options.components) - set(corpus.max_epochs)):
        raise ConfigError(
            f"order: mixture {order.mixture} has no component {unknown[0]!r}; it has: "
            f"{', '.join(sorted(corpus.max_epochs))}"
        )
    capped = times(corpus, options)[1]
    lanes = corpus.codes(options.concentrate.components) if options.concentrate else None
    grouped = corpus.codes(options.groups.components) > 0 if options.groups else None
    parts = []
    for number in range(options.passes):
        part = _occurrences(capped, number, options.passes, order.seed)
        if corpus.similarity is not None:
            # Copies apart: no context is to hold a document twice.
            part = part.take(np.lexsort((corpus.similarity[part.rows], corpus.copy(part.rows), part.repeat)))
        if corpus.belonging is not None:
            part = _gathered(part, corpus, corpus.belonging, order, number)
        if lanes is not None:
            part = part.take(np.argsort(lanes[part.rows], kind="stable"))
        parts.append(part)
    rows = np.concatenate([part.rows for part in parts])
    moved = len(rows) != len(corpus.lengths) or (np.diff(rows) != 1).any()
    ends = np.cumsum(corpus.lengths[rows], dtype=np.int64) if moved else corpus.ends
    first = np.cumsum([0, *(len(part.rows) for part in parts[:-1])])
    return Stream(
        rows=rows,
        ends=ends,
        passes=tuple(int(ends[start - 1]) if start else 0 for start in first),
        bound=_numbered(parts) if corpus.belonging is not None else None,
        grouped=None if grouped is None else grouped[rows],
        lanes=None if lanes is None else lanes[rows],
    )


@dataclass(frozen=True)
class _Part:
    """The documents of one pass."""

    rows: Rows
    repeat: npt.NDArray[np.int32]  # 0 for the first time that the pass has the row
    bound: Rows | None = None

    def take(self, order: Integers | npt.NDArray[np.bool_]) -> "_Part":
        return _Part(self.rows[order], self.repeat[order], None if self.bound is None else self.bound[order])


def _occurrences(capped: npt.NDArray[np.int32], number: int, passes: int, seed: int) -> _Part:
    """Return the rows of pass `number`, in their order; what comes again stands at places drawn by `seed`."""
    share = (capped + (passes - 1 - number)) // passes
    rows = np.flatnonzero(share).astype(np.min_scalar_type(-len(share)))  # half the memory below 2^31 rows
    part = _Part(rows, np.zeros(len(rows), dtype=np.int32))
    more = share[rows] - 1
    if not more.any():
        return part
    again = np.repeat(rows, more)
    ends = np.cumsum(more)
    repeat = np.arange(len(again)) - np.repeat(ends - more, more) + 1
    drawn = np.random.PCG64(np.random.SeedSequence([seed, number, 1])).random_raw(len(again)) % len(rows)
    place = np.concatenate([np.arange(len(rows)), drawn.astype(np.int64)])
    both = _Part(np.concatenate([rows, again]), np.concatenate([part.repeat, repeat.astype(np.int32)]))
    return both.take(np.argsort(place, kind="stable"))


def _gathered(part: _Part, corpus: Corpus, belonging: Belonging, order: DataOrder, number: int) -> _Part:
    """Bring together what belongs together, each whole with a sequence or more of other documents around it.

    So no two share a sequence, as long as there are others enough. Each copy of a whole is one of its own.
    """
    bound = (belonging.whole >= 0)[part.rows]
    members, loose = part.take(bound), part.take(~bound)
    apart = (members.repeat, corpus.copy(members.rows), belonging.whole[members.rows])
    inside = np.lexsort((belonging.rank[members.rows], *apart))
    members = members.take(inside)
    begins = np.any([np.diff(column[inside], prepend=-2) != 0 for column in apart], axis=0)
    count, numbers = int(begins.sum()), np.cumsum(begins, dtype=part.rows.dtype) - 1
    drawn = np.random.PCG64(np.random.SeedSequence([order.seed, number, 2])).random_raw(count)
    after = np.empty(count, dtype=np.int64)  # how many loose documents stand before each whole
    after[np.argsort(drawn, kind="stable")] = _spaced(
        np.cumsum(corpus.lengths[loose.rows], dtype=np.int64), count, order.sequence_length
    )
    at = after[numbers]
    return _Part(
        np.insert(loose.rows, at, members.rows),
        np.insert(loose.repeat, at, members.repeat),
        np.insert(np.full(len(loose.rows), -1, dtype=numbers.dtype), at, numbers),
    )


def _spaced(ends: Integers, count: int, least: int) -> Integers:
    """Return after how many of the documents that end at `ends` each of `count` places is.

    Places are spread evenly and at least `least` tokens apart; those that find no more room are at the end.
    """
    total = int(ends[-1]) if len(ends) else 0
    places, reached = np.empty(count, dtype=np.int64), 0
    for number in range(count):
        wanted = max((2 * number + 1) * total // (2 * count), reached)
        places[number] = np.searchsorted(ends, wanted, side="left") + 1
        reached = least + int(ends[min(int(places[number]), len(ends)) - 1]) if len(ends) else 0
    return np.minimum(places, len(ends))


def _numbered(parts: list[_Part]) -> Rows:
    """Return the parts' numbers of what is bound, end to end, none of them twice."""
    bound = [part.bound for part in parts if part.bound is not None]
    if len(bound) == 1:
        return bound[0]
    before, columns = 0, []
    for numbers in bound:
        columns.append(np.where(numbers >= 0, numbers.astype(np.int64) + before, -1))
        before += int(numbers.max(initial=-1)) + 1
    return np.concatenate(columns)

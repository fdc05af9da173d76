"""What a run has seen: which documents, how many of their tokens, in which steps; from its order plan and trace index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.tokens.trace import TraceIndex
from training_jobs.data_order import Indices, OrderPlan

SERVED: Final = pl.Schema(
    {
        "step": pl.Int64,
        "sequence": pl.Int64,  # within the global batch, from 0, as ranks share them
        "offset": pl.Int64,  # of the span's first token within the sequence
        "tokens": pl.Int64,  # of the span
        "doc_id": pl.String,
        "document_offset": pl.Int64,  # of the span's first token within the document
        "copy": pl.Int32,
        "shard": pl.Int32,
        "position": pl.Int64,  # of the document within the shard
        "source": pl.String,
        "delivery": pl.String,
        "component": pl.String,
        "lang": pl.String,
    }
)


@dataclass(frozen=True)
class Run:
    """What decides which tokens a run sees when. A token is seen when it is an input.

    The target of a sequence's last input is the first input of the next sequence of the stream, and is counted
    there.
    """

    plan: OrderPlan
    trace: TraceIndex  # of the train split


def tokens_seen(run: Run, steps: int) -> pl.DataFrame:
    """Return (doc_id, source, delivery, tokens_seen) of every document copy seen in steps 1..`steps`.

    A token counts once for each time that it was an input.
    """
    counted = _seen_by_row(run, steps)
    return (
        run.trace.frame()
        .select("doc_id", "source", "delivery", tokens_seen=pl.Series(counted))
        .filter(pl.col("tokens_seen") > 0)
    )


def seen_by_delivery(runs: Sequence[tuple[Run, int]]) -> pl.DataFrame:
    """Return (source, delivery, documents_seen, tokens_seen) of what runs have seen in so many steps each, together.

    A document counts once, however many copies were seen; ids are compared only where there can be several.
    """
    place = ["source", "delivery"]
    counts, shared = [], [pl.DataFrame(schema=dict.fromkeys(("doc_id", *place), pl.String))]
    for run, steps in runs:
        counted, origins = _seen_by_row(run, steps), run.trace.origins
        rows = np.flatnonzero(counted)
        codes = run.trace.codes()[rows]
        once = (origins["copies"] == 1).to_numpy() & (len(runs) == 1)
        tokens = np.bincount(codes, weights=counted[rows], minlength=origins.height).astype(np.int64)
        documents = np.where(once, np.bincount(codes, minlength=origins.height), 0)
        counts.append(
            origins.select(place).with_columns(
                documents_seen=pl.Series(documents, dtype=pl.Int64),
                tokens_seen=pl.Series(tokens, dtype=pl.Int64),
            )
        )
        several = rows[~once[codes]]
        shared.append(run.trace.rows(run.trace.places(several)).select("doc_id", *place))
    copied = pl.concat(shared).unique().group_by(place).agg(documents_seen=pl.len().cast(pl.Int64))
    counts.append(copied.with_columns(tokens_seen=pl.lit(0, pl.Int64)))
    return pl.concat(counts).group_by(place).sum().filter(pl.col("tokens_seen") > 0).sort(place)


@dataclass(frozen=True)
class Occurrences:
    """Where some documents stand in the stream of a run: every copy, every time that the plan has it."""

    run: Run
    begins: Indices
    ends: Indices

    def seen(self, steps: int) -> int:
        """Return how many of their tokens steps 1..`steps` have seen."""
        return int(_inputs(self.run, steps, self.begins, self.ends).sum())

    def steps(self, up_to_step: int) -> Indices:
        """Return the steps 1..`up_to_step`, ascending, whose batches held some token of them."""
        length, last = self.run.plan.sequence_length, len(self.run.plan.places)
        some = self.ends > self.begins
        firsts = np.minimum(self.begins[some] // length, last)
        lasts = np.minimum((self.ends[some] - 1) // length, last)
        edges = np.bincount(firsts, minlength=last + 2) - np.bincount(lasts + 1, minlength=last + 2)
        holding = np.cumsum(edges)[:last] > 0
        served = holding[self.run.plan.places[: self.run.plan.served(up_to_step)]]
        return np.unique(np.flatnonzero(served) // self.run.plan.global_batch) + 1


def occurrences(run: Run, rows: Indices) -> Occurrences:
    """Return where the documents in these rows of the trace index stand."""
    wanted = np.zeros(len(run.trace.lengths()), dtype=np.bool_)
    wanted[rows] = True
    in_stream, begins, ends = _documents_of_the_stream(run)
    own = wanted[in_stream]
    return Occurrences(run, begins[own], ends[own])


def _seen_by_row(run: Run, steps: int) -> Indices:
    """Return for each document of the trace index how many of its tokens steps 1..`steps` have seen."""
    rows, begins, ends = _documents_of_the_stream(run)
    counted = np.bincount(rows, weights=_inputs(run, steps, begins, ends), minlength=len(run.trace.lengths()))
    return counted.astype(np.int64)


def _inputs(run: Run, steps: int, begins: Indices, ends: Indices) -> Indices:
    """Return how many tokens of each stretch of the stream were inputs of steps 1..`steps`."""
    length = run.plan.sequence_length
    seen = np.append(run.plan.seen(steps), False).astype(np.int64)
    before = np.concatenate([[0], np.cumsum(seen)]) * length

    def inputs_before(offset: Indices) -> Indices:
        sequence = np.minimum(offset // length, len(seen) - 1)
        return np.asarray(before[sequence] + (offset - sequence * length) * seen[sequence])

    return inputs_before(ends) - inputs_before(begins)


def _documents_of_the_stream(run: Run) -> tuple[Indices, Indices, Indices]:
    """Return the row in the trace index of each document in the stream, and where it begins and ends there."""
    lengths = run.trace.lengths().astype(np.int64)
    ends = np.cumsum(lengths)
    starts = np.asarray(run.plan.piece_starts)
    sizes = np.diff(np.asarray(run.plan.piece_ends), prepend=0)
    first = np.searchsorted(ends - lengths, starts, side="left")
    counts = np.searchsorted(ends - lengths, starts + sizes, side="left") - first
    shift = first - (np.cumsum(counts) - counts)
    rows = np.repeat(shift, counts) + np.arange(int(counts.sum()))
    stream_ends = np.cumsum(lengths[rows])
    return rows, stream_ends - lengths[rows], stream_ends


def steps_that_saw(run: Run, offset: int, tokens: int, up_to_step: int) -> list[int]:
    """Return the steps, ascending, whose batches held some token of the document copy at `offset`."""
    length = run.plan.sequence_length
    steps: set[int] = set()
    for start, end in run.plan.in_stream(offset, offset + tokens):
        steps.update(run.plan.steps_of(start // length, (end - 1) // length, up_to_step))
    return sorted(steps)


def served(run: Run, steps: Iterable[int]) -> pl.DataFrame:
    """Return SERVED rows: every span of every document in the global batches of `steps`, in the order of serving.

    Raises OrderPlanError for a step that the plan does not have.
    """
    spans: list[tuple[int, ...]] = []
    for step in steps:
        for sequence, number in enumerate(run.plan.batch(step).tolist()):
            offset = 0
            for start, end in run.plan.spans(number):
                for part in run.trace.overlaps(start, end):
                    spans.append(
                        (step, sequence, offset, part.tokens, part.offset, part.shard, part.position)
                    )
                    offset += part.tokens
    columns = ("step", "sequence", "offset", "tokens", "document_offset", "shard", "position")
    schema = {name: SERVED[name] for name in columns}
    frame = pl.DataFrame(spans, schema=schema, orient="row")
    documents = run.trace.rows(frame.select("shard", "position").iter_rows()).drop("offset", "tokens")
    return frame.join(documents, on=["shard", "position"], maintain_order="left").select(SERVED.names())

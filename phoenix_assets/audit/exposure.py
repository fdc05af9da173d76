"""What a run has seen: which documents, how many of their tokens, in which steps; from its order plan and trace index."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.tokens.trace import TraceIndex
from training_jobs.data_order import OrderPlan

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
    length = run.plan.sequence_length
    seen = np.append(run.plan.seen(steps), False).astype(np.int64)
    before = np.concatenate([[0], np.cumsum(seen)]) * length

    def inputs_before(offset: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        sequence = np.minimum(offset // length, len(seen) - 1)
        return np.asarray(before[sequence] + (offset - sequence * length) * seen[sequence])

    rows, begins, ends = _documents_of_the_stream(run)
    counted = np.zeros(len(run.trace.lengths()), dtype=np.int64)
    np.add.at(counted, rows, inputs_before(ends) - inputs_before(begins))
    return (
        run.trace.frame()
        .select("doc_id", "source", "delivery", tokens_seen=pl.Series(counted))
        .filter(pl.col("tokens_seen") > 0)
    )


def _documents_of_the_stream(
    run: Run,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
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

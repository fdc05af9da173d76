"""Which documents a run has seen, how many of their tokens, and in which steps: from data order and trace index alone."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from training_jobs.data_order import SequenceOrder, sequence_count

SEEN: Final = ("doc_id", "source", "delivery", "tokens_seen")


@dataclass(frozen=True)
class Run:
    """What decides the data order of a run."""

    total_tokens: int  # of the train split
    sequence_length: int  # tokens
    global_batch: int  # sequences a step
    seed: int

    @property
    def order(self) -> SequenceOrder:
        """The order in which the run goes through its sequences."""
        return SequenceOrder(
            sequence_count(self.total_tokens, self.sequence_length), self.global_batch, self.seed
        )


def tokens_seen(trace: pl.DataFrame, run: Run, steps: int) -> pl.DataFrame:
    """Return (doc_id, source, delivery, tokens_seen) of every document copy seen in steps 1..`steps`.

    `trace` has doc_id, source, delivery, offset and tokens of the train split. A token counts once for each time that
    it was an input; the last target of a sequence is the first input of the next and isn't counted twice.
    """
    counts = run.order.times_seen(steps)
    before = np.concatenate([[0], np.cumsum(counts)]) * run.sequence_length
    padded = np.append(counts, 0)
    limit = len(counts) * run.sequence_length

    def inputs_before(offset: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        clipped = np.minimum(offset, limit)
        sequence, within = clipped // run.sequence_length, clipped % run.sequence_length
        return np.asarray(before[sequence] + within * padded[sequence])

    start = trace["offset"].to_numpy()
    seen = inputs_before(start + trace["tokens"].to_numpy()) - inputs_before(start)
    return trace.select("doc_id", "source", "delivery", tokens_seen=pl.Series(seen)).filter(
        pl.col("tokens_seen") > 0
    )


def steps_that_saw(run: Run, offset: int, tokens: int, up_to_step: int) -> list[int]:
    """Return the steps, ascending, whose batches held some token of the document copy at `offset`."""
    order = run.order
    last = min((offset + tokens - 1) // run.sequence_length, order.n_sequences - 1)
    sequences = range(offset // run.sequence_length, last + 1)
    return sorted({step for sequence in sequences for step in order.steps_of(sequence, up_to_step)})

"""The data-order plan of a run: from the documents' lengths and origins to the sequences of every step.

    documents → stream (which, how often, in which order) → cut into sequences → places (which sequence when)

The plan depends on the mixture's tokens, the options, the seed, the sequence length and the global batch, and
on nothing else. `training_jobs.data_order` says how it is stored and read.
"""

from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.order.config import DataOrder
from phoenix_assets.order.places import place_sequences
from phoenix_assets.order.stream import Corpus, Stream, build_stream, times
from training_jobs.data_order import OrderPlan

KERNEL_VERSION: Final = "1"

_PERIODS: Final = 40  # of the run, in the spread of components


def build_plan(corpus: Corpus, order: DataOrder) -> tuple[OrderPlan, Stream]:
    """Return the plan, and the stream that it was made of.

    Raises ConfigError when the corpus is smaller than a global batch, or an option cannot be met.
    """
    stream = build_stream(corpus, order)
    classes = corpus.origins[stream.rows] if order.options.groups is not None else None
    if classes is not None:
        classes = corpus.kinds["component"].rank("dense").to_numpy()[classes]
    places = place_sequences(stream, order, classes)
    begins = np.flatnonzero(np.diff(stream.rows, prepend=stream.rows.dtype.type(-2)) != 1)
    first = stream.rows[begins]
    plan = OrderPlan(
        sequence_length=order.sequence_length,
        global_batch=order.global_batch,
        data_tokens=int(corpus.ends[-1]),
        places=places,
        piece_starts=corpus.ends[first] - corpus.lengths[first],
        piece_ends=stream.ends[np.append(begins[1:], len(stream.rows)) - 1],
    )
    return plan, stream


def spread(plan: OrderPlan, stream: Stream, corpus: Corpus) -> pl.DataFrame:
    """Return (component, step, share): each component's share of the sequences, in periods of the plan.

    A sequence counts for the component of its first token; `step` is the last one of the period.
    """
    served = plan.places[: plan.steps * plan.global_batch].astype(np.int64)
    periods = min(_PERIODS, plan.steps)
    step = np.arange(len(served)) // plan.global_batch
    ends = (np.arange(1, periods + 1) * plan.steps) // periods
    first = corpus.origins[stream.rows[stream.at(np.arange(len(plan.places)) * plan.sequence_length)]]
    counted = pl.DataFrame(
        {"step": ends[np.searchsorted(ends, step, side="right")], "kind": first[served].astype(np.int64)}
    )
    kinds = corpus.kinds.select("component", kind=pl.int_range(pl.len(), dtype=pl.Int64))
    return (
        counted.group_by("step", "kind").len()
        .join(kinds, on="kind")
        .group_by("component", "step").agg(pl.col("len").sum())
        .with_columns(share=pl.col("len") / pl.col("len").sum().over("step"))
        .sort("component", "step")
        .select("component", "step", "share")
    )  # fmt: skip


def repeats(corpus: Corpus, order: DataOrder) -> pl.DataFrame:
    """Return (component, repeats, documents, left_out): how often the plan has a document, all copies of it counted.

    `left_out` is how many times more the options ask for, but `max_epochs` do not allow.
    """
    wanted, capped = times(corpus, order.options)
    rows = pl.DataFrame({"kind": corpus.origins.astype(np.int64), "wanted": wanted, "times": capped})
    kinds = corpus.kinds.select("component", "copies", kind=pl.int_range(pl.len(), dtype=pl.Int64))
    copies = pl.col("copies").cast(pl.Int64)
    return (
        rows.group_by("kind", "wanted", "times").len()
        .join(kinds, on="kind")
        .with_columns(repeats=pl.col("times") * copies, left_out=(pl.col("wanted") - pl.col("times")) * pl.col("len"))
        .group_by("component", "repeats")
        .agg(documents=(pl.col("len") / copies).sum().round().cast(pl.Int64), left_out=pl.col("left_out").sum())
        .sort("component", "repeats")
    )  # fmt: skip

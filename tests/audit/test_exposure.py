"""Exposure: tokens seen, steps and spans, against walking every batch of the plan token by token."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.audit.exposure import (
    SERVED,
    Run,
    occurrences,
    seen_by_delivery,
    served,
    steps_that_saw,
    tokens_seen,
)
from phoenix_assets.tokens.indexed import IndexedWriter, token_dtype
from phoenix_assets.tokens.trace import ORIGIN, TraceIndex, origins_file, with_origins, write_documents
from training_jobs.data_order import OrderPlan, sequence_count
from training_jobs.errors import OrderPlanError

LENGTHS = st.lists(st.integers(0, 40), min_size=2, max_size=12).filter(lambda lengths: sum(lengths) > 1)


@contextmanager
def trace_of(lengths: list[int]) -> Iterator[TraceIndex]:
    """Yield the trace index of documents in two shards."""
    rows = pl.DataFrame(
        {"doc_id": [f"{place:032x}" for place in range(len(lengths))]}
        | {name: ["a"] * len(lengths) for name in ("source", "delivery", "component", "lang")}
        | {"copies": [1] * len(lengths), "copy": [0] * len(lengths)}
    )
    rows, origins = with_origins(rows.with_columns(pl.col(name).cast(kind) for name, kind in ORIGIN.items()))
    half = len(lengths) // 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        origins.write_parquet(origins_file(folder, "train"))
        for shard, part in enumerate((slice(0, half), slice(half, None))):
            prefix = folder / f"train-{shard:05d}"
            write_documents(prefix, rows["doc_id"][part], rows["origin"][part])
            with IndexedWriter(prefix, token_dtype(9)) as writer:
                sizes = np.array(lengths[part], dtype=np.int32)
                writer.add(np.zeros(int(sizes.sum()), dtype=np.uint16), sizes)
        yield TraceIndex(folder, "train")


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], OrderPlan]:
    """Documents, and a plan over any of them in any order, some of them more than once."""
    lengths = draw(LENGTHS)
    places = draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=15))
    ends = np.cumsum([lengths[place] for place in places])
    starts = np.cumsum(lengths) - np.array(lengths)
    length = draw(st.integers(1, 9))
    order = draw(st.permutations(range(sequence_count(int(ends[-1]), length))))
    return lengths, OrderPlan(
        sequence_length=length,
        global_batch=draw(st.integers(1, 5)),
        data_tokens=sum(lengths),
        places=np.array(order, dtype=np.uint16),
        piece_starts=starts[places],
        piece_ends=ends,
    )


def inputs_by_step(plan: OrderPlan, steps: int) -> list[tuple[int, int]]:
    """Return (step, token offset) of every input token of steps 1..`steps`, by walking the batches."""
    return [
        (step, offset)
        for step in range(1, min(steps, plan.steps) + 1)
        for sequence in plan.batch(step)
        for span in plan.spans(int(sequence))
        for offset in range(*span)
    ]


def owner(lengths: list[int]) -> list[str]:
    return [f"{place:032x}" for place, length in enumerate(lengths) for _ in range(length)]


@settings(max_examples=100, deadline=None)
@given(case=cases(), steps=st.integers(0, 12))
def test_what_was_seen_is_what_the_batches_hold_counted_one_by_one(case, steps) -> None:
    lengths, plan = case
    steps = min(steps, plan.steps)
    owners = owner(lengths)
    walked = inputs_by_step(plan, steps)
    with trace_of(lengths) as trace:
        run = Run(plan, trace)
        seen = tokens_seen(run, steps).select("doc_id", "tokens_seen")
        assert dict(seen.iter_rows()) == dict(Counter(owners[offset] for _, offset in walked))
        by_hand = {name: sorted({step for step, at in walked if owners[at] == name}) for name in owners}
        for doc_id, steps_seen in by_hand.items():
            offset, tokens = trace.find(doc_id).select("offset", "tokens").row(0)
            assert steps_that_saw(run, offset, tokens, steps) == steps_seen
        some = np.arange(0, len(lengths), 2)
        walked_of_some = [step for step, at in walked if int(owners[at], 16) % 2 == 0]
        stand = occurrences(run, some)
        assert stand.steps(steps).tolist() == sorted(set(walked_of_some))
        assert stand.seen(steps) == len(walked_of_some)
        together = seen_by_delivery([(run, steps)])
        for found in (together, seen_by_delivery([(run, steps), (run, 0)])):
            assert found["tokens_seen"].sum() == len(walked)
            assert found["documents_seen"].sum() == len({owners[at] for _, at in walked})
        spans = served(run, range(1, steps + 1))
        assert spans.schema == SERVED
        listed = [
            (row["step"], row["doc_id"]) for row in spans.iter_rows(named=True) for _ in range(row["tokens"])
        ]
        assert listed == [(step, owners[offset]) for step, offset in walked]


def test_a_run_that_has_not_begun_has_seen_nothing_and_a_plan_has_no_steps_beyond_its_last() -> None:
    plan = OrderPlan(4, 2, 30, np.arange(7, dtype=np.uint8), np.array([0]), np.array([30]))
    with trace_of([10, 20]) as trace:
        assert tokens_seen(Run(plan, trace), 0).is_empty()
        with pytest.raises(OrderPlanError, match="step 4: the plan has steps 1 to 3"):
            served(Run(plan, trace), [4])

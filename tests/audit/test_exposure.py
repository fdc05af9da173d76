"""Exposure: tokens seen and steps, against counting every batch by hand."""

from collections import Counter

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.audit.exposure import Run, steps_that_saw, tokens_seen

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def trace_of(lengths: list[int]) -> pl.DataFrame:
    offsets = [sum(lengths[:place]) for place in range(len(lengths))]
    return pl.DataFrame(
        {
            "doc_id": [f"doc{place}" for place in range(len(lengths))],
            "source": "wiki",
            "delivery": "d1",
            "offset": pl.Series(offsets, dtype=pl.Int64),
            "tokens": pl.Series(lengths, dtype=pl.Int64),
        }
    )


def inputs_by_step(run: Run, steps: int) -> list[tuple[int, int]]:
    """Return (step, token offset) of every input token of steps 1..`steps`, by walking the batches."""
    return [
        (step, int(sequence) * run.sequence_length + place)
        for step in range(1, steps + 1)
        for sequence in run.order.batch(step)
        for place in range(run.sequence_length)
    ]


def owner(lengths: list[int]) -> list[str]:
    return [f"doc{place}" for place, length in enumerate(lengths) for _ in range(length)]


@settings(max_examples=120, deadline=None)
@given(
    lengths=LENGTHS,
    sequence_length=st.integers(1, 9),
    global_batch=st.integers(1, 5),
    seed=st.integers(0, 3),
    steps=st.integers(0, 12),
)
def test_tokens_seen_are_the_inputs_of_all_batches_counted_one_by_one(
    lengths, sequence_length, global_batch, seed, steps
) -> None:
    run = Run(max(sum(lengths), sequence_length + 1), sequence_length, global_batch, seed)
    lengths = [*lengths, run.total_tokens - sum(lengths)] if run.total_tokens > sum(lengths) else lengths
    owners = owner(lengths)
    by_hand = Counter(owners[offset] for _, offset in inputs_by_step(run, steps))
    seen = tokens_seen(trace_of(lengths), run, steps)
    assert dict(seen.select("doc_id", "tokens_seen").iter_rows()) == dict(by_hand)


@settings(max_examples=80, deadline=None)
@given(
    lengths=LENGTHS,
    sequence_length=st.integers(1, 9),
    global_batch=st.integers(1, 5),
    steps=st.integers(0, 8),
)
def test_the_steps_that_saw_a_document_are_those_whose_batch_held_one_of_its_tokens(
    lengths, sequence_length, global_batch, steps
) -> None:
    run = Run(max(sum(lengths), sequence_length + 1), sequence_length, global_batch, seed=7)
    lengths = [*lengths, run.total_tokens - sum(lengths)] if run.total_tokens > sum(lengths) else lengths
    owners = owner(lengths)
    by_hand: dict[str, set[int]] = {name: set() for name in owners}
    for step, offset in inputs_by_step(run, steps):
        by_hand[owners[offset]].add(step)
    for doc_id, offset, tokens in trace_of(lengths).select("doc_id", "offset", "tokens").iter_rows():
        assert sorted(set(steps_that_saw(run, offset, tokens, steps))) == sorted(by_hand[doc_id])


def test_a_run_that_has_not_begun_has_seen_nothing() -> None:
    assert tokens_seen(trace_of([10, 20]), Run(30, 4, 2, 0), 0).is_empty()

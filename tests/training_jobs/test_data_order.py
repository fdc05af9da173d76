import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_jobs.data_order import SequenceOrder, sequence_count, token_span

orders = st.builds(SequenceOrder, st.integers(1, 60), st.integers(1, 25), st.integers(0, 2**40))
steps = st.integers(1, 12)


@given(orders, steps)
def test_a_batch_is_a_total_function_of_the_step(order: SequenceOrder, step: int) -> None:
    fresh = SequenceOrder(order.n_sequences, order.global_batch, order.seed)
    for earlier in range(1, step):
        order.batch(earlier)
    assert np.array_equal(order.batch(step), fresh.batch(step))


@given(orders, st.integers(1, 4))
def test_each_epoch_serves_every_sequence_once_across_batches(order: SequenceOrder, epochs: int) -> None:
    needed = -(-epochs * order.n_sequences // order.global_batch)
    served = np.concatenate([order.batch(step) for step in range(1, needed + 1)])
    for epoch in range(epochs):
        part = served[epoch * order.n_sequences : (epoch + 1) * order.n_sequences]
        assert sorted(part) == list(range(order.n_sequences))


@given(orders, steps, st.data())
def test_steps_of_finds_exactly_the_batches_that_hold_a_sequence(
    order: SequenceOrder, step: int, data: st.DataObject
) -> None:
    sequence = data.draw(st.integers(0, order.n_sequences - 1))
    expected = [s for s in range(1, step + 1) for found in order.batch(s) if found == sequence]
    assert order.steps_of(sequence, step) == expected
    assert order.times_seen(step)[sequence] == len(expected)


@given(orders, steps)
def test_times_seen_adds_up_to_the_position(order: SequenceOrder, step: int) -> None:
    seen = order.times_seen(step)
    assert seen.sum() == order.served(step) == step * order.global_batch
    assert seen.max() - seen.min() <= 1
    assert order.epochs(step) == pytest.approx(seen.mean())


@given(st.integers(0, 500), st.integers(1, 40))
def test_windows_cover_the_tokens_and_share_only_their_border(total: int, length: int) -> None:
    count = sequence_count(total, length)
    spans = [token_span(sequence, length) for sequence in range(count)]
    assert all(end - start == length + 1 for start, end in spans)
    assert all(spans[i][1] - 1 == spans[i + 1][0] for i in range(count - 1))
    assert count == 0 or spans[-1][1] <= total
    assert token_span(count, length)[1] > total


def test_epochs_and_seeds_have_their_own_order() -> None:
    order = SequenceOrder(50, 10, seed=7)
    assert not np.array_equal(order.epoch_order(0), order.epoch_order(1))
    assert not np.array_equal(order.epoch_order(0), SequenceOrder(50, 10, seed=8).epoch_order(0))


def test_the_order_stays_what_it_was_in_recorded_runs() -> None:
    assert SequenceOrder(10, 4, seed=1234).batch(3).tolist() == [8, 0, 9, 2]


def test_steps_count_from_one() -> None:
    with pytest.raises(ValueError, match="step 0: steps count from 1"):
        SequenceOrder(10, 2, seed=0).batch(0)


def test_the_order_is_importable_without_torch() -> None:
    program = (
        "import sys, training_jobs.data_order, training_jobs.checkpoints; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

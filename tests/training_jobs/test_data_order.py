"""The order plan: what a batch is, where its tokens are, and that a damaged or foreign plan is refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_jobs.data_order import OrderPlan, job_plan, open_plan, sequence_count
from training_jobs.errors import OrderPlanError
from training_jobs.job import Batch, TrainingJob

MakeJob = Callable[..., TrainingJob]


@st.composite
def plans(draw: st.DrawFn) -> OrderPlan:
    """Any order of any pieces of up to 60 tokens, repeats and empty pieces among them."""
    length, batch = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    pieces = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=8))
    ends = np.cumsum([size for _, size in pieces])
    sequences = sequence_count(int(ends[-1]), length)
    places = np.array(draw(st.permutations(range(sequences))), dtype=np.uint32)
    return OrderPlan(length, batch, 60, places, np.array([start for start, _ in pieces]), ends)


def stream_of(plan: OrderPlan) -> np.ndarray:
    """The stream as token offsets, token by token."""
    sizes = np.diff(plan.piece_ends, prepend=0)
    parts = [np.arange(start, start + size) for start, size in zip(plan.piece_starts, sizes, strict=True)]
    return np.concatenate(parts)


@given(plans())
def test_the_spans_of_a_sequence_are_its_window_of_the_stream(plan: OrderPlan) -> None:
    stream = stream_of(plan)
    for sequence in range(len(plan.places)):
        for targets in (False, True):
            window = stream[sequence * plan.sequence_length :][: plan.sequence_length + targets]
            spans = list(plan.spans(sequence, targets=targets))
            assert np.array_equal(np.concatenate([np.arange(*span) for span in spans]), window)


@given(plans())
def test_the_steps_of_a_plan_are_its_places_in_order_and_no_step_is_beyond(plan: OrderPlan) -> None:
    served = [plan.batch(step) for step in range(1, plan.steps + 1)]
    flat = [sequence for batch in served for sequence in batch.tolist()]
    assert flat == plan.places[: plan.steps * plan.global_batch].tolist()
    assert len(plan.places) - len(flat) < plan.global_batch
    for step in (0, plan.steps + 1):
        with pytest.raises(OrderPlanError, match=f"step {step}: the plan has steps 1 to {plan.steps}"):
            plan.batch(step)


@given(plans(), st.integers(0, 12), st.data())
def test_steps_that_saw_sequences_are_found_and_what_was_seen_is_counted(
    plan: OrderPlan, step: int, data: st.DataObject
) -> None:
    upto = min(step, plan.steps)
    batches = {place: set(plan.batch(place).tolist()) for place in range(1, upto + 1)}
    assert set(np.flatnonzero(plan.seen(upto)).tolist()) == set().union(*batches.values())
    first = data.draw(st.integers(0, max(0, len(plan.places) - 1)))
    last = data.draw(st.integers(first, max(first, len(plan.places) - 1)))
    wanted = set(range(first, last + 1))
    assert plan.steps_of(first, last, upto) == [place for place, batch in batches.items() if batch & wanted]


def test_a_saved_plan_is_the_same_plan_with_the_same_fingerprint(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    plan, header = open_plan(job.resolve(job.data.order), verified=True)
    assert plan.save(tmp_path) == header
    other = OrderPlan(
        plan.sequence_length,
        plan.global_batch,
        plan.data_tokens,
        plan.places[::-1],
        plan.piece_starts,
        plan.piece_ends,
    )
    assert other.header.fingerprint != header.fingerprint


@pytest.mark.parametrize("harm", ["header", "array", "cut"])
def test_a_damaged_plan_is_refused(make_job: MakeJob, tmp_path: Path, harm: str) -> None:
    job = make_job()
    plan, _ = open_plan(job.resolve(job.data.order))
    plan.save(tmp_path)
    path = tmp_path / ("plan.json" if harm == "header" else "places.npy")
    content = bytearray(path.read_bytes())
    content[-2 if harm == "array" else 0] ^= 1
    path.write_bytes(content[:-9] if harm == "cut" else content)
    with pytest.raises(OrderPlanError, match="materialise the order again"):
        open_plan(tmp_path, verified=True)


def test_a_job_longer_than_its_plan_is_told_how_many_steps_fit(make_job: MakeJob) -> None:
    job = make_job()
    longer = job.model_copy(update={"steps": 1000})
    plan = job_plan(job)
    message = rf"1000 steps of 8 sequences do not fit: .* {len(plan.places)} sequences, enough for {plan.steps} steps"
    with pytest.raises(OrderPlanError, match=message):
        job_plan(longer)


def test_a_plan_for_other_batches_is_refused(make_job: MakeJob) -> None:
    other = make_job().model_copy(update={"batch": Batch(tokens=16 * 4, sequence_length=16)})
    with pytest.raises(OrderPlanError, match="for 8 sequences of 16 tokens a step, the job takes 4 of 16"):
        job_plan(other)


def test_the_order_is_importable_without_torch() -> None:
    program = (
        "import sys, training_jobs.data_order, training_jobs.checkpoints; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""The order plan: whatever the options, each sequence has one place, and each option does what it says."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from phoenix_assets.errors import ConfigError
from phoenix_assets.order.config import DataOrder, OrderConfig
from phoenix_assets.order.plan import build_plan, repeats, spread
from phoenix_assets.order.stream import Belonging, Corpus, times
from training_jobs.data_order import sequence_count

COMPONENTS = ("crawl", "small", "book", "thread")


def corpus(
    lengths: list[int],
    components: list[int] | None = None,
    wholes: list[int] | None = None,
    epochs: float = 1,
) -> Corpus:
    """Documents with a number into COMPONENTS and a whole (-1: none) each; ranks are their order."""
    count = len(lengths)
    belonging = None
    if wholes is not None:
        belonging = Belonging(np.array(wholes, dtype=np.int64), np.arange(count))
    return Corpus(
        lengths=np.array(lengths, dtype=np.int32),
        origins=np.array(components if components is not None else [0] * count, dtype=np.uint8),
        kinds=pl.DataFrame({"component": COMPONENTS, "copies": [1] * 4, "copy": [0] * 4}),
        max_epochs=dict.fromkeys(COMPONENTS, epochs),
        belonging=belonging,
    )


def order(length: int, batch: int, seed: int = 0, **options: object) -> DataOrder:
    return DataOrder(
        mixture="v0",
        sequence_length=length,
        global_batch=batch,
        seed=seed,
        options=OrderConfig.model_validate(options),
    )


def mixed(seed: int, count: int = 900) -> Corpus:
    """Crawl with 6 % of a small set, books of three chapters, and threads of two posts."""
    rng = np.random.default_rng(seed)
    components = rng.choice(4, size=count, p=[0.74, 0.06, 0.12, 0.08])
    wholes = np.full(count, -1)
    for component, size in ((2, 3), (3, 2)):
        members = np.flatnonzero(components == component)
        wholes[members] = np.arange(len(members)) // size + 1000 * component
    return corpus(rng.integers(1, 120, size=count).tolist(), components.tolist(), wholes.tolist())


def owners(made: Corpus, plan, stream) -> list[set[int]]:
    """The documents of the stream whose inputs each sequence holds."""
    starts = stream.ends - made.lengths[stream.rows]
    length = plan.sequence_length
    found: list[set[int]] = [set() for _ in plan.places]
    for document, (start, end) in enumerate(zip(starts.tolist(), stream.ends.tolist(), strict=True)):
        for sequence in range(start // length, min(len(found), -(-end // length))):
            found[sequence].add(document)
    return found


def test_the_plain_order_stays_what_it_was_in_recorded_runs() -> None:
    plan, _ = build_plan(corpus([41]), order(4, 4, seed=1234))
    assert plan.places.tolist() == [5, 6, 3, 9, 7, 4, 1, 2, 8, 0]
    assert (plan.piece_starts.tolist(), plan.piece_ends.tolist()) == ([0], [41])


def test_without_a_shuffle_sequences_come_as_they_stand() -> None:
    plan, _ = build_plan(corpus([41]), order(4, 4, seed=1234, shuffle=False))
    assert plan.places.tolist() == list(range(10))


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "passes": st.integers(1, 3),
        "whole": st.just({"components": ["book"]}),
        "concentrate": st.just({"components": ["small"], "share": 1, "below": 1}),
        "groups": st.just({"components": ["thread"]}),
        "long_documents": st.just({"at_least": 20, "times": 3}),
    },
)


ASKED_BY = {"book": "whole", "thread": "groups"}


@settings(max_examples=150, deadline=None)
@given(
    documents=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(-1, 4)), min_size=4, max_size=40
    ),
    length=st.integers(1, 9),
    batch=st.integers(1, 6),
    seed=st.integers(0, 5),
    epochs=st.integers(1, 4),
    options=OPTIONS,
)
def test_whatever_is_asked_every_sequence_has_one_place_and_every_document_comes_as_often_as_it_may(
    documents, length, batch, seed, epochs, options
) -> None:
    documents += [(5, component, -1) for component in range(4)]
    asked = [COMPONENTS.index(name) for name in ("book", "thread") if ASKED_BY[name] in options]
    wholes = [whole + 10 * part if whole >= 0 and part in asked else -1 for _, part, whole in documents]
    made = corpus([size for size, _, _ in documents], [part for _, part, _ in documents], wholes, epochs)
    wanted = order(length, batch, seed, **options)
    try:
        plan, stream = build_plan(made, wanted)
    except ConfigError:
        return  # it says what does not fit; the tests below ask for each
    assert sorted(plan.places.tolist()) == list(range(sequence_count(stream.tokens, length)))
    _, allowed = times(made, wanted.options)
    assert np.bincount(stream.rows, minlength=len(documents)).tolist() == allowed.tolist()
    assert allowed.max() <= epochs
    starts = np.cumsum(made.lengths) - made.lengths
    by_document = [np.arange(starts[row], starts[row] + made.lengths[row]) for row in stream.rows]
    sizes = np.diff(plan.piece_ends, prepend=0)
    by_piece = [np.arange(a, a + size) for a, size in zip(plan.piece_starts, sizes, strict=True)]
    assert np.array_equal(np.concatenate(by_document), np.concatenate(by_piece))
    assert build_plan(made, wanted)[0].header == plan.header


@pytest.mark.parametrize("seed", range(3))
def test_a_small_set_fills_its_share_of_one_batch_and_none_of_the_next(seed: int) -> None:
    made = mixed(seed)
    wanted = order(16, 40, seed, concentrate={"components": ["small"], "share": 0.25, "below": 0.1})
    plan, stream = build_plan(made, wanted)
    small = (made.origins == 1)[stream.rows]
    starts = stream.at(np.arange(len(plan.places)) * 16)
    counts = [int(small[starts[plan.batch(step)]].sum()) for step in range(1, plan.steps + 1)]
    filled = [step for step, count in enumerate(counts) if count]
    assert sum(counts) == int(small[starts].sum())  # equal in total
    assert {counts[step] for step in filled[:-1]} == {10} and counts[filled[-1]] <= 10
    gaps = np.diff(filled)
    assert gaps.min() >= 2 and gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("seed", range(3))
def test_a_group_shares_one_batch_late_in_the_plan_and_the_others_are_balanced(seed: int) -> None:
    made = mixed(seed)
    threads = made.origins == 3
    made = corpus(
        made.lengths.tolist(), made.origins.tolist(), np.where(threads, made.belonging.whole, -1).tolist()
    )
    plan, stream = build_plan(made, order(16, 60, seed, groups={"components": ["thread"], "from_step": 20}))
    step_of = np.empty(len(plan.places), dtype=np.int64)
    step_of[plan.places] = np.arange(len(plan.places)) // 60 + 1
    seen: dict[int, set[int]] = {}
    for sequence, documents in enumerate(owners(made, plan, stream)):
        for document in documents:
            if stream.bound[document] >= 0:
                seen.setdefault(int(stream.bound[document]), set()).add(int(step_of[sequence]))
    assert len(seen) == len(set(made.belonging.whole[threads]))
    assert all(len(steps) == 1 and min(steps) >= 20 for steps in seen.values())
    first = made.origins[stream.rows[stream.at(np.arange(len(plan.places)) * 16)]]
    shares = [(first[plan.batch(step)] == 2).mean() for step in range(1, plan.steps + 1)]
    others = [1 - (first[plan.batch(step)] == 3).mean() for step in range(1, plan.steps + 1)]
    of_others = np.array(shares) / np.array(others)
    assert np.abs(of_others - of_others.mean()).max() <= 2 / 40


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_stands_in_consecutive_sequences_in_the_order_of_its_documents(seed: int) -> None:
    made = mixed(seed)
    books = made.origins == 2
    made = corpus(
        made.lengths.tolist(), made.origins.tolist(), np.where(books, made.belonging.whole, -1).tolist()
    )
    plan, stream = build_plan(made, order(16, 8, seed, whole={"components": ["book"]}))
    place_of = np.argsort(plan.places)
    places: dict[int, list[int]] = {}
    for sequence, documents in enumerate(owners(made, plan, stream)):
        for document in documents:
            if stream.bound[document] >= 0:
                places.setdefault(int(stream.bound[document]), []).append(int(place_of[sequence]))
    assert len(places) == len(set(made.belonging.whole[books]))
    for found in places.values():
        assert sorted(set(found)) == list(range(min(found), max(found) + 1))
    for number in places:
        rows = stream.rows[stream.bound == number]
        assert rows.tolist() == sorted(rows.tolist())


def test_wholes_are_apart_from_each_other_and_shuffled() -> None:
    wholes = [place // 2 if place < 20 else -1 for place in range(300)]
    made = corpus([40] * 300, [2 if whole >= 0 else 0 for whole in wholes], wholes)
    plan, stream = build_plan(made, order(16, 8, whole={"components": ["book"]}))
    held = [{int(stream.bound[one]) for one in found} - {-1} for found in owners(made, plan, stream)]
    assert max(len(numbers) for numbers in held) == 1
    first = made.lengths[stream.rows[: int(np.flatnonzero(stream.bound >= 0)[0])]].sum()
    assert first > 100


def test_a_document_longer_than_a_global_batch_is_served_in_consecutive_batches() -> None:
    made = corpus([30, 10_000_000, 30, 0, 500], [0, 2, 0, 0, 0], [-1, 7, -1, -1, -1])
    plan, stream = build_plan(made, order(1000, 64, whole={"components": ["book"]}))
    assert len(plan.places) == 10_000
    book = stream.rows.tolist().index(1)
    start, end = int(stream.ends[book]) - 10_000_000, int(stream.ends[book])
    steps = plan.steps_of(start // 1000, (end - 1) // 1000, plan.steps)
    assert steps == list(range(1, plan.steps + 1))
    with pytest.raises(ConfigError, match=r"a group, .* has 1000\d sequences, a global batch has 64"):
        build_plan(made, order(1000, 64, groups={"components": ["book"]}))


def test_documents_without_tokens_are_in_the_stream_and_take_no_room() -> None:
    plan, stream = build_plan(corpus([0, 5, 0, 0, 8, 0]), order(3, 2))
    assert stream.tokens == 13 and len(plan.places) == 4
    assert [list(plan.spans(sequence)) for sequence in range(4)] == [[(0, 3)], [(3, 6)], [(6, 9)], [(9, 12)]]


def test_long_documents_come_more_often_as_far_as_their_epochs_allow() -> None:
    made = corpus([50, 5, 50, 5], [0, 0, 2, 2])
    made.max_epochs["book"] = 3
    made.max_epochs["crawl"] = 1
    wanted = order(4, 2, long_documents={"at_least": 50, "times": 4})
    _, stream = build_plan(made, wanted)
    assert np.bincount(stream.rows).tolist() == [1, 1, 3, 1]
    counted = repeats(made, wanted)
    assert counted.rows() == [("book", 1, 1, 0), ("book", 3, 1, 1), ("crawl", 1, 2, 3)]


def test_a_further_pass_has_only_what_may_be_repeated_and_begins_when_the_first_is_over() -> None:
    made = corpus([10, 20, 30], [0, 2, 0])
    made.max_epochs.update(book=2, crawl=1)
    plan, stream = build_plan(made, order(5, 2, passes=3))
    assert stream.rows.tolist() == [0, 1, 2, 1]
    assert stream.passes == (0, 60, 80)
    assert set(plan.places[:12].tolist()) == set(range(12))


def test_two_copies_in_the_corpus_count_against_the_epochs() -> None:
    made = corpus([10, 10], [0, 0], epochs=3)
    kinds = made.kinds.with_columns(copies=pl.lit(2))
    doubled = Corpus(made.lengths, made.origins, kinds, made.max_epochs)
    _, allowed = times(doubled, OrderConfig(passes=3))
    assert allowed.tolist() == [1, 1]


def test_similar_documents_keep_the_order_they_are_given() -> None:
    made = corpus([10, 10, 10, 10])
    ordered = Corpus(made.lengths, made.origins, made.kinds, made.max_epochs, None, np.array([2, 0, 3, 1]))
    _, stream = build_plan(ordered, order(4, 2))
    assert stream.rows.tolist() == [1, 3, 0, 2]


def test_copies_of_a_document_are_similar_and_yet_not_neighbours() -> None:
    made = corpus([10] * 6, [0, 1, 0, 1, 0, 1])
    kinds = made.kinds.with_columns(copies=pl.lit(2), copy=pl.Series([0, 1, 0, 0]))
    ordered = Corpus(made.lengths, made.origins, kinds, made.max_epochs, None, np.arange(6))
    _, stream = build_plan(ordered, order(4, 2))
    assert stream.rows.tolist() == [0, 2, 4, 1, 3, 5]


def test_the_spread_says_each_component_s_share_in_each_period() -> None:
    made = mixed(0)
    plan, stream = build_plan(made, order(16, 8))
    shares = spread(plan, stream, made)
    totals = shares.group_by("step").agg(pl.col("share").sum())["share"]
    assert totals.len() == 40 and totals.round(9).unique().to_list() == [1.0]
    assert shares["step"].max() == plan.steps


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"groups": {"components": ["thread"], "from_step": 99}},
            "from_step 99 is after the plan's last step",
        ),
        ({"concentrate": {"components": ["crawl"]}}, "crawl has 6.* of the sequences, and sets below 10%"),
        (
            {"concentrate": {"components": ["small"], "share": 0.001, "below": 1}},
            "small needs .* steps at 1 sequences each, the plan has .*raise `share`",
        ),
        ({"whole": {"components": ["boks"]}}, "mixture v0 has no component 'boks'; it has: book, crawl"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_figures(options, complaint) -> None:
    with pytest.raises(ConfigError, match=complaint):
        build_plan(mixed(0, count=300), order(16, 64, **options))


def test_a_corpus_smaller_than_a_global_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match="has 10 sequences of 4 tokens, less than one global batch of 16"):
        build_plan(corpus([41]), order(4, 16))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"whole": {"components": ["book"]}, "groups": {"components": ["book"]}},
            "component 'book' is named twice in whole, concentrate and groups.* keep it in one",
        ),
        (
            {"whole": {"components": ["book"]}, "concentrate": {"components": ["qa", "book"]}},
            "component 'book' is named twice",
        ),
        ({"groups": {"components": ["qa"]}, "shuffle": False}, "groups balance the other documents"),
        ({"whole": {"components": ["book"], "by": "chapter"}}, "by"),
        ({"long_documents": {"at_least": 10, "times": 1}}, "times"),
        ({"shufle": True}, "shufle"),
    ],
)
def test_options_that_conflict_are_refused(options, complaint) -> None:
    with pytest.raises(ValidationError, match=complaint):
        OrderConfig.model_validate(options)

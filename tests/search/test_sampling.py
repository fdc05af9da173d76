"""The mixtures to try: the same for the same seed, within their bounds, and around the mixture as it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.errors import ConfigError
from phoenix_assets.search.config import Proxy, Samples, Search
from phoenix_assets.search.sampling import apportion, dirichlet, grid, sample_mixtures
from training_jobs.job import Batch, Hardware

SHARES = np.array([0.6, 0.3, 0.1])


def search(**samples: object) -> Search:
    return Search(
        description="A search.",
        mixture="v3",
        components=("qa", "crawl"),
        samples=Samples(seed=3, **samples),
        proxy=Proxy(
            size="5m",
            steps=2,
            batch=Batch(tokens=32, sequence_length=8),
            hardware=Hardware(micro_batch_size=2),
            optimizer={"lr": 1e-3},
            seed=1,
        ),
        target=({"component": "qa"},),
    )


def test_a_seed_gives_the_same_mixtures_again_and_more_samples_begin_with_them():
    samples = Samples(number=5, seed=3)
    few, more = (dirichlet(SHARES, samples, number) for number in (5, 6000))
    assert np.array_equal(few, dirichlet(SHARES, samples, 5))
    assert np.array_equal(few, more[:5])
    assert not np.array_equal(few, dirichlet(SHARES, samples, 5, stream=1))
    assert not np.array_equal(few, dirichlet(SHARES, samples.model_copy(update={"seed": 4}), 5))


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.integers(0, 2**32))
def test_every_mixture_sums_to_one_and_uses_no_component_beyond_the_bound(values, seed):
    shares = np.array(values) / sum(values)
    drawn = dirichlet(shares, Samples(number=1, max_usage=2, concentration=(1, 20), seed=seed), 40)
    assert drawn.shape == (40, len(shares))
    assert np.allclose(drawn.sum(axis=1), 1) and (drawn >= 0).all()
    assert (drawn <= 2 * shares + 1e-12).all()


def test_the_mean_of_the_mixtures_is_the_mixture_with_its_temperature():
    drawn = dirichlet(SHARES, Samples(number=1, temperature=0.5, max_usage=100, seed=0), 20_000)
    expected = np.sqrt(SHARES) / np.sqrt(SHARES).sum()
    assert np.allclose(drawn.mean(axis=0), expected, atol=0.01)


def test_a_bound_that_nothing_meets_is_an_error_and_not_an_endless_draw(monkeypatch):
    monkeypatch.setattr("phoenix_assets.search.sampling._BLOCKS", 2)
    with pytest.raises(
        ConfigError, match=r"of 8192 mixtures only \d+ use no component more than 1.0001 times"
    ):
        dirichlet(SHARES, Samples(number=1, max_usage=1.0001, seed=0), 1000)


def test_a_grid_holds_every_multiple_once_but_for_those_beyond_the_bound():
    points = grid(SHARES, Samples(grid=2, max_usage=9.9, seed=0), 2)
    expected = [[0, 0.5, 0.5], [0, 1, 0], [0.5, 0, 0.5], [0.5, 0.5, 0], [1, 0, 0]]  # without [0, 0, 1]
    assert sorted(points.tolist()) == expected


def test_the_first_sample_is_the_mixture_as_it_is_and_others_keep_their_shares():
    rows = sample_mixtures({"book": 200, "crawl": 600, "qa": 200}, search(number=3))
    now = rows.filter(sample=0)
    assert dict(now.select("component", "weight").iter_rows()) == {"book": 0.2, "crawl": 0.6, "qa": 0.2}
    assert dict(now.select("component", "varied").iter_rows()) == {"book": False, "crawl": True, "qa": True}
    assert rows["sample"].unique().sort().to_list() == [0, 1, 2, 3]
    assert set(rows.filter(component="book")["weight"]) == {0.2}
    assert np.allclose(rows.group_by("sample").agg(weight=rows["weight"].sum() / 4)["weight"], 1)


def test_a_component_without_tokens_cannot_vary():
    with pytest.raises(ConfigError, match="component 'qa' has no training tokens in v3"):
        sample_mixtures({"crawl": 600, "qa": 0}, search(number=3))


def test_samples_are_drawn_or_on_a_grid():
    with pytest.raises(ValueError, match="give either number"):
        Samples(seed=0)
    with pytest.raises(ValueError, match="give either number"):
        Samples(seed=0, number=3, grid=3)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda values: sum(values) > 0.01),
    st.integers(0, 999),
)
def test_sequences_are_apportioned_to_within_one_and_none_is_lost(values, total):
    weights = np.array(values)
    counts = apportion(weights, total)
    assert counts.sum() == total
    assert (np.abs(counts - weights / weights.sum() * total) < 1 + 1e-9).all()

"""The loss surface against surfaces whose lowest point is known in closed form."""

import numpy as np
import polars as pl
import pytest

from phoenix_assets.errors import ConfigError
from phoenix_assets.search.config import Regression, Samples, SurfaceKind, Target
from phoenix_assets.search.regression import best_mixture, fit_surface, rank_correlation, target_losses
from phoenix_assets.search.sampling import dirichlet

SHARES = np.array([0.5, 0.3, 0.2])
SAMPLES = Samples(number=40, concentration=(3, 8), max_usage=4, seed=5)
IMPORTANCE = np.array([0.4, 0.35, 0.25])
CANDIDATES = dirichlet(SHARES, SAMPLES, 40_000, stream=1)


def proposed(weights, losses, *kinds):
    settings = Regression(kinds=kinds, best=20, rounds=100, learning_rate=0.1)
    fitted = fit_surface(weights, losses, IMPORTANCE, settings)
    return fitted, best_mixture(fitted.surface, CANDIDATES, settings.best)


def test_the_optimum_of_a_log_linear_surface_is_recovered():
    """loss_i = exp(b_i - s_i w_i); at the optimum all v_i s_i loss_i are equal, which gives w_i in closed form."""
    level, slope = np.array([1.2, 1.0, 1.1]), np.array([2.0, 1.5, 2.5])
    weights = dirichlet(SHARES, SAMPLES, 40)
    fitted, best = proposed(weights, np.exp(level - slope * weights), SurfaceKind.LINEAR)
    known = np.log(IMPORTANCE * slope) + level
    multiplier = ((known / slope).sum() - 1) / (1 / slope).sum()
    assert np.allclose(best, (known - multiplier) / slope, atol=0.01)
    assert fitted.rank_correlation == pytest.approx(1)


def test_the_optimum_of_a_power_law_in_each_component_s_tokens_is_recovered():
    """loss_i = A_i w_i^-0.3 (Chinchilla's data term): at the optimum w_i is proportional to (v_i A_i)^(1 / 1.3)."""
    factor = np.array([2.0, 3.0, 2.5])
    weights = dirichlet(SHARES, SAMPLES, 40) + 1e-4
    fitted, best = proposed(weights, factor * weights**-0.3, *SurfaceKind)
    expected = (IMPORTANCE * factor) ** (1 / 1.3)
    assert fitted.kind is SurfaceKind.POWER
    assert np.allclose(best, expected / expected.sum(), atol=0.02)


def test_trees_find_the_region_of_an_optimum_that_no_line_shows():
    centre = np.array([0.45, 0.35, 0.2])
    weights = dirichlet(SHARES, SAMPLES, 300)
    bowl = 2 + 3 * ((weights - centre) ** 2).sum(axis=1, keepdims=True) * np.ones(3)
    fitted, best = proposed(weights, bowl, SurfaceKind.LINEAR, SurfaceKind.BOOSTED)
    assert fitted.kind is SurfaceKind.BOOSTED
    assert fitted.compared[SurfaceKind.LINEAR] < 0.9 < fitted.rank_correlation
    assert np.allclose(best, centre, atol=0.05)


def test_losses_without_any_relation_to_the_weights_have_no_rank_correlation():
    weights = dirichlet(SHARES, SAMPLES, 40)
    noise = np.exp(np.random.default_rng(0).normal(size=(40, 3)))
    assert abs(proposed(weights, noise, SurfaceKind.LINEAR)[0].rank_correlation) < 0.4


def test_the_rank_correlation_is_spearman_s_and_0_without_an_order():
    # d = 1, -1, 0, 0: 1 - 6 * 2 / (4 * 15)
    assert rank_correlation(np.array([2.0, 1, 3, 4]), np.array([1.0, 2, 3, 4])) == pytest.approx(0.8)
    assert rank_correlation(np.ones(4), np.arange(4.0)) == 0


def test_a_target_s_loss_is_the_mean_over_the_sequences_that_it_covers():
    losses = pl.DataFrame(
        {
            "sample": [0, 0, 0, 1, 1, 1],
            "component": ["qa", "qa", "book"] * 2,
            "lang": ["zh", "en", "zh"] * 2,
            "sequences": [3, 1, 1] * 2,
            "loss": [1.0, 2.0, 4.0, 2.0, 2.0, 2.0],
        }
    )
    targets = [Target(component="qa"), Target(lang="zh"), Target(component="qa", lang="en")]
    assert target_losses(losses, targets).tolist() == [[1.25, 1.75, 2.0], [2.0, 2.0, 2.0]]
    with pytest.raises(
        ConfigError, match="target book, en: no validation sequence is of it; there are: book zh, qa"
    ):
        target_losses(losses, [Target(component="book", lang="en")])

"""The loss surface: validation losses predicted from component weights, and the weights that lower them most.

RegMix (Liu et al. 2024, arXiv:2407.01492) fits the losses of the proxies, predicts those of very many mixtures and
proposes the mean of the best. Here every target's log loss has a predictor of its own and the surface is their
weighted sum, so that the log-linear kinds can have their optimum inside the simplex: a sum of falling exponentials.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import spearmanr
from sklearn.ensemble import GradientBoostingRegressor

from phoenix_assets.errors import ConfigError
from phoenix_assets.search.config import Regression, Search, SurfaceKind, Target
from phoenix_assets.search.sampling import dirichlet

KERNEL_VERSION: Final = "1"

Array = npt.NDArray[np.float64]
Surface = Callable[[Array], Array]  # weights (mixtures, components) → loss of each mixture


@dataclass(frozen=True)
class Fitted:
    """The surface of the kind that ranks held-out runs best."""

    kind: SurfaceKind
    surface: Surface
    rank_correlation: float  # Spearman's, of the loss of runs that were held out
    held_out: Array  # predicted loss of each run, from the others
    compared: dict[SurfaceKind, float]  # rank correlation of every kind


@dataclass(frozen=True)
class Proposal:
    """The mixture that a search ends in; losses are those of the target."""

    fitted: Fitted
    mixture: Array  # the weights of the search's components, which sum to 1
    predicted: float
    predicted_now: float  # of the mixture as it is
    measured: Array  # of each run


def propose(mixtures: Array, losses: pl.DataFrame, search: Search) -> Proposal:
    """Return what the runs say. `mixtures` is (runs, components), the first as it is now; `losses` as in `target_losses`."""
    importance = np.array([target.weight for target in search.target])
    importance /= importance.sum()
    measured = target_losses(losses, search.target)
    fitted = fit_surface(mixtures, measured, importance, search.regression)
    candidates = dirichlet(mixtures[0], search.samples, search.regression.candidates, stream=1)
    best = best_mixture(fitted.surface, candidates, search.regression.best)
    now, then = fitted.surface(np.stack([mixtures[0], best])).tolist()
    return Proposal(fitted, best, predicted=then, predicted_now=now, measured=measured @ importance)


def target_losses(losses: pl.DataFrame, targets: Sequence[Target]) -> Array:
    """Return (runs, targets): each target's loss in each run, runs in the order of `sample`.

    `losses` has sample, component, lang, sequences and loss; those that a target covers count by their sequences.
    Raises ConfigError for a target that no validation sequence is of.
    """
    columns = []
    for target in targets:
        covered = losses.filter(
            *(
                pl.col(name) == value
                for name, value in (("component", target.component), ("lang", target.lang))
                if value is not None
            )
        )
        if covered.is_empty():
            there = (
                losses.select(pl.concat_str("component", "lang", separator=" ")).unique().to_series().sort()
            )
            raise ConfigError(
                f"target {target.component or 'any component'}, {target.lang or 'any language'}: no validation "
                f"sequence is of it; there are: {', '.join(there)}"
            )
        mean = (pl.col("loss") * pl.col("sequences")).sum() / pl.col("sequences").sum()
        columns.append(covered.group_by("sample").agg(loss=mean).sort("sample")["loss"].to_numpy())
    return np.stack(columns, axis=1)


def fit_surface(weights: Array, losses: Array, importance: Array, settings: Regression) -> Fitted:
    """Return the surface of the best kind, fitted to all runs.

    `weights` is (runs, components), `losses` (runs, targets), `importance` the targets' weights. Kinds are compared by
    cross-validation; of equal ones the first wins.
    """
    measured = losses @ importance
    held_out = {kind: _held_out(kind, weights, losses, importance, settings) for kind in settings.kinds}
    compared = {kind: rank_correlation(predicted, measured) for kind, predicted in held_out.items()}
    best = max(settings.kinds, key=lambda kind: compared[kind])
    return Fitted(
        kind=best,
        surface=_surface(best, weights, losses, importance, settings),
        rank_correlation=compared[best],
        held_out=held_out[best],
        compared=compared,
    )


def best_mixture(surface: Surface, candidates: Array, best: int) -> Array:
    """Return the mean of the `best` candidates with the lowest predicted loss."""
    lowest = np.argsort(surface(candidates), kind="stable")[:best]
    mean: Array = candidates[lowest].mean(axis=0)
    return mean


def rank_correlation(predicted: Array, measured: Array) -> float:
    """Return Spearman's rank correlation, 0 when either has no order."""
    if len(predicted) < 2 or np.ptp(predicted) == 0 or np.ptp(measured) == 0:
        return 0.0
    return float(spearmanr(predicted, measured).statistic)


def _held_out(
    kind: SurfaceKind, weights: Array, losses: Array, importance: Array, settings: Regression
) -> Array:
    fold = np.arange(len(weights)) % min(settings.folds, len(weights))
    predicted = np.empty(len(weights))
    for number in np.unique(fold):
        rest, out = fold != number, fold == number
        predicted[out] = _surface(kind, weights[rest], losses[rest], importance, settings)(weights[out])
    return predicted


def _surface(
    kind: SurfaceKind, weights: Array, losses: Array, importance: Array, settings: Regression
) -> Surface:
    fit = _boosted if kind is SurfaceKind.BOOSTED else _log_linear
    features = _features(kind, settings)
    predictors = [
        fit(features(weights), np.log(losses[:, target]), settings) for target in range(len(importance))
    ]

    def surface(mixtures: Array) -> Array:
        asked = features(mixtures)
        total: Array = np.stack([np.exp(predict(asked)) for predict in predictors], axis=1) @ importance
        return total

    return surface


def _features(kind: SurfaceKind, settings: Regression) -> Callable[[Array], Array]:
    if kind is SurfaceKind.POWER:
        return lambda weights: np.log(weights + settings.least_weight)
    return lambda weights: weights


def _log_linear(features: Array, logs: Array, settings: Regression) -> Surface:
    """Return the least-squares fit with an intercept; weights sum to 1, so the shortest of its solutions is taken."""
    mean, level = features.mean(axis=0), logs.mean()
    centred = features - mean
    penalty = np.sqrt(settings.ridge * len(features)) * np.eye(features.shape[1])
    rows = np.concatenate([centred, penalty])
    slopes = np.linalg.lstsq(rows, np.concatenate([logs - level, np.zeros(len(penalty))]), rcond=None)[0]
    return lambda asked: (asked - mean) @ slopes + level


def _boosted(features: Array, logs: Array, settings: Regression) -> Surface:
    trees = GradientBoostingRegressor(
        n_estimators=settings.rounds,
        learning_rate=settings.learning_rate,
        min_samples_leaf=settings.min_leaf,
        random_state=0,
    ).fit(features, logs)
    return lambda asked: np.asarray(trees.predict(asked), dtype=np.float64)

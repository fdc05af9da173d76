"""Pictures of a search: the fitted surface, what it says of runs that were held out, and weights while they are learned."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from phoenix_assets.figures import lines
from phoenix_assets.search.regression import Array, Proposal

_POINTS: Final = 25  # of a line through the surface


def surface_pictures(name: str, components: Sequence[str], proposal: Proposal) -> dict[str, bytes]:
    """Return lines through the proposal, along each component's weight, and held-out predictions beside the runs."""
    fitted, measured = proposal.fitted, proposal.measured
    weights = np.linspace(0, 1, _POINTS)
    along = {}
    for number, component in enumerate(components):
        others = np.delete(proposal.mixture, number)
        rest = np.outer(1 - weights, others / others.sum())
        losses = fitted.surface(np.insert(rest, number, weights, axis=1))
        along[component] = ((100 * weights).tolist(), losses.tolist())
    order = np.argsort(measured, kind="stable")
    ranks = list(range(1, len(order) + 1))
    held_out = {
        "measured": (ranks, measured[order].tolist()),
        "predicted from the other runs": (ranks, fitted.held_out[order].tolist()),
    }
    unit = "nats a token"
    return {
        "surface": lines(
            along, title=f"{name}: predicted loss around the proposal", x="% of the component", y=unit
        ),
        "held_out": lines(held_out, title=f"{name}: held-out runs, {fitted.kind.value}", x="rank", y=unit),
    }


def path_pictures(name: str, components: Sequence[str], path: Array) -> dict[str, bytes]:
    """Return the weights of the components over the steps; `path` is (steps, components)."""
    steps = list(range(1, len(path) + 1))
    series = {part: (steps, (100 * path[:, number]).tolist()) for number, part in enumerate(components)}
    return {
        "weights": lines(series, title=f"{name}: weights while training", x="step", y="% of the components")
    }

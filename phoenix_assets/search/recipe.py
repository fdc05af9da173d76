"""A search's result as a recipe: a file for `config/mixtures/` that changes the weights of its base, and nothing else."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import yaml

from phoenix_assets.search.sampling import apportion

KERNEL_VERSION: Final = "1"

_UNITS: Final = 10_000  # a weight is a multiple of 1/10000


def recipe_yaml(
    base: str,
    weights: Mapping[str, float],
    varied: tuple[str, ...],
    estimated_per_token: Mapping[str, float],
    comment: str,
) -> str:
    """Return the recipe that gives the `varied` components their `weights`.

    `weights` are shares of the tokens of all parts. A recipe counts tokens as it estimates them from bytes:
    `estimated_per_token` is each part's estimate over its tokens. No weight is 0: without the component, its
    documents would go to the next one that fits.
    """
    names = [name for name, weight in weights.items() if weight > 0 or name in varied]
    shares = np.array([weights[name] * estimated_per_token[name] for name in names])
    own = np.isin(names, varied)
    counted = shares / shares.sum()
    units = np.maximum(apportion(counted[own], round(counted[own].sum() * _UNITS)), 1)
    units[np.argmax(units)] -= units.sum() - round(counted[own].sum() * _UNITS)
    stated = dict(zip(np.array(names)[own].tolist(), units.tolist(), strict=True))
    components = {name: {"rate": None, "weight": stated[name] / _UNITS} for name in varied}
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + yaml.safe_dump({"base": base, "components": components}, sort_keys=False)

"""A search's result is a recipe that the mixture room reads as any other."""

import shutil
from pathlib import Path

import pytest

from phoenix_assets.mix.config import load_mixture, load_mixtures
from phoenix_assets.search.recipe import recipe_yaml

MIXTURES = Path(__file__).resolve().parents[2] / "config/mixtures"
PARTS = list(load_mixtures(MIXTURES)["v3"].components)
EVEN = dict.fromkeys(PARTS, 1.0)


@pytest.fixture
def mixtures(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MIXTURES, tmp_path / "mixtures"))


def written(folder: Path, *arguments: object):
    (folder / "proposed.yaml").write_text(recipe_yaml("v3", *arguments), "utf-8")
    return load_mixture("proposed", folder)


def test_the_varied_components_have_their_weights_and_the_others_are_the_base_s(mixtures: Path) -> None:
    weights = dict.fromkeys(PARTS, 0.0) | {"crawl": 0.5, "qa": 0.3, "book": 0.2}
    recipe = written(mixtures, weights, ("crawl", "qa"), EVEN, "Why.\nTwo lines.")
    assert (recipe.components["crawl"].weight, recipe.components["qa"].weight) == (0.5, 0.3)
    assert recipe.components["book"] == load_mixture("v3", mixtures).components["book"]
    assert (mixtures / "proposed.yaml").read_text("utf-8").startswith("# Why.\n# Two lines.\nbase: v3\n")


def test_weights_of_all_components_sum_to_one_whatever_their_decimals_are(mixtures: Path) -> None:
    weights = {part: 1 / len(PARTS) for part in PARTS}
    recipe = written(mixtures, weights, tuple(PARTS), EVEN, "Even.")
    assert sum(round(10_000 * part.weight) for part in recipe.components.values()) == 10_000


def test_a_component_that_should_get_nothing_keeps_the_least_weight_and_its_documents(mixtures: Path) -> None:
    weights = dict.fromkeys(PARTS, 0.0) | {"crawl": 0.7, "book": 0.3}
    recipe = written(mixtures, weights, ("crawl", "qa"), EVEN, "Without qa.")
    assert (recipe.components["crawl"].weight, recipe.components["qa"].weight) == (0.6999, 0.0001)


def test_weights_are_put_into_the_tokens_that_the_mixture_estimates(mixtures: Path) -> None:
    """Of 60 and 40 tokens the mixture estimates 60 * 2 and 40: shares of 0.75 and 0.25."""
    weights = dict.fromkeys(PARTS, 0.0) | {"crawl": 0.6, "book": 0.4}
    recipe = written(mixtures, weights, ("crawl", "qa"), EVEN | {"crawl": 2.0}, "Estimated.")
    assert recipe.components["crawl"].weight == pytest.approx(0.7499)

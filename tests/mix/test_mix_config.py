"""Recipes: inheritance, and messages that say what to do."""

from pathlib import Path

import pytest

from phoenix_assets.errors import ConfigError
from phoenix_assets.mix.config import MixtureStatus, load_mixture, load_mixtures, recipe_digest

BASE = """
status: frozen
seed: 1
heldout: {fraction: 0.01}
validation: {fraction: 0.01}
components:
  crawl: {sources: [cc], rate: 0.43}
  wiki: {sources: [wiki]}
"""


@pytest.fixture
def write(tmp_path: Path):
    def written(**files: str) -> Path:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
        return tmp_path

    return written


def test_the_recipes_of_the_house_load():
    recipes = load_mixtures()
    assert recipes["v3"].components["crawl"].rate == 0.43
    assert recipes["v3"].bytes_per_token == 3


def test_a_child_states_only_what_differs(write):
    folder = write(
        v1=BASE, v2="base: v1\nstatus: open\ncomponents:\n  crawl: {rate: 0.5}\n  book: {sources: [book]}\n"
    )
    child = load_mixture("v2", folder)
    assert child.status is MixtureStatus.OPEN
    assert list(child.components) == ["crawl", "wiki", "book"]
    assert child.components["crawl"].rate == 0.5
    assert child.components["crawl"].sources == ("cc",)
    assert child.seed == 1


def test_a_component_set_to_null_leaves_the_mixture(write):
    folder = write(v1=BASE, v2="base: v1\ncomponents: {crawl: null}\n")
    assert list(load_mixture("v2", folder).components) == ["wiki"]


def test_bases_in_a_circle_are_an_error_that_shows_the_circle(write):
    folder = write(a="base: b\n", b="base: c\n", c="base: a\n")
    with pytest.raises(ConfigError, match="a → b → c → a"):
        load_mixture("a", folder)


def test_a_missing_base_is_named(write):
    with pytest.raises(ConfigError, match=r"v0\.yaml: no such file"):
        load_mixture("v1", write(v1="base: v0\n"))


def test_freezing_does_not_change_the_recipe_but_a_rate_does(write):
    folder = write(
        v1=BASE, opened="base: v1\nstatus: open\n", changed="base: v1\ncomponents: {crawl: {rate: 0.44}}\n"
    )
    first, opened, changed = (
        recipe_digest(load_mixture(name, folder)) for name in ("v1", "opened", "changed")
    )
    assert first == opened
    assert first != changed


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ("components: {crawl: {weight: 0.2}}", "keep the one that decides"),
        ("components: {crawl: {rate: 1.5}}", "allow the repeats with a higher max_epochs"),
        ("components: {crawl: {rate: 0}}", "greater than 0"),
        ("components: {crawl: {rate: null, weight: 0.5}, wiki: {weight: 0.4}}", "make them sum to 1"),
        ("components: {crawl: {rate: null, weight: 1.0}}", "leave nothing"),
        ("components: {high: {sources: [cc], min_quality: 0.7}}", "'high' can never get a document: 'crawl'"),
        ("components: {crawl: {sources: []}}", "at least 1 item"),
        ("components: {crawl: {source: cc}}", "Extra inputs"),
        ("heldout: {fraction: 1.0}", "less than 1"),
    ],
)
def test_a_wrong_recipe_is_refused_with_advice(write, change: str, advice: str):
    with pytest.raises(ConfigError, match=advice):
        load_mixture("v2", write(v1=BASE, v2=f"base: v1\n{change}\n"))


def test_components_that_split_a_source_by_quality_may_stand_best_first(write):
    folder = write(
        v1=BASE,
        v2="base: v1\ncomponents: {crawl: {min_quality: 0.7, rate: 1}, rest: {sources: [cc], rate: 0.43}}\n",
    )
    assert list(load_mixture("v2", folder).components) == ["crawl", "wiki", "rest"]

"""Recipes: inheritance, and messages that say what to do."""

from itertools import pairwise
from pathlib import Path

import pytest

from phoenix_assets.errors import ConfigError
from phoenix_assets.mix.config import load_mixture, load_mixtures, recipe_digest

BASE = """
automatic: true
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
    folder = write(v1=BASE, v2="base: v1\ncomponents:\n  crawl: {rate: 0.5}\n  book: {sources: [book]}\n")
    child = load_mixture("v2", folder)
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


def test_another_name_or_the_same_default_is_the_same_recipe_but_another_rate_or_order_is_not(write):
    folder = write(
        v1=BASE,
        same="base: v1\ncomponents: {wiki: {max_epochs: 1}}\n",
        rate="base: v1\ncomponents: {crawl: {rate: 0.44}}\n",
        order=BASE[: BASE.index("  crawl")]
        + "  wiki: {sources: [wiki]}\n  crawl: {sources: [cc], rate: 0.43}\n",
    )
    recipes = {name: load_mixture(name, folder) for name in ("v1", "same", "rate", "order")}
    digests = {name: recipe_digest(recipe) for name, recipe in recipes.items()}
    assert digests["v1"] == digests["same"]
    assert len(set(digests.values())) == 3
    assert recipes["v1"].values() != recipes["order"].values()


def test_what_is_kept_up_to_date_says_so_itself(write):
    folder = write(v1=BASE, v2="base: v1\n")
    assert load_mixture("v1", folder).automatic
    assert not load_mixture("v2", folder).automatic
    assert [version for version, recipe in load_mixtures().items() if recipe.automatic] == ["v3"]


def test_the_versions_of_the_house_grow_from_chinese_alone_to_everything():
    recipes = load_mixtures()
    line = [recipes[version] for version in ("v1.1", "v2", "v2.2", "v2.3", "v3")]
    assert all(set(one.sources) <= set(next_one.sources) for one, next_one in pairwise(line))
    assert line[0].components["crawl"].languages == ("zh",)
    assert {recipe.components["crawl"].rate for recipe in line} == {0.43}


REPLAY = "seed: 2\nheldout: {fraction: 0.01}\nvalidation: {fraction: 0.01}\n"


def test_a_replay_brings_the_components_of_the_other_mixture(write):
    folder = write(
        v1=BASE,
        v2=REPLAY + "replay: {mixture: v1, rate: 0.2}\ncomponents: {book: {sources: [book], weight: 0.2}}",
    )
    recipe = load_mixture("v2", folder)
    assert list(recipe.parts) == ["book", "v1/crawl", "v1/wiki"]
    assert recipe.sources == ("book", "cc", "wiki")
    assert recipe.values()["components"]["v1/crawl"]["rate"] == 0.43


def test_a_change_in_what_is_replayed_is_a_change_of_the_recipe(write):
    own = REPLAY + "replay: {mixture: v1, rate: 0.2}\ncomponents: {book: {sources: [book], weight: 0.2}}"
    before = recipe_digest(load_mixture("v2", write(v1=BASE, v2=own)))
    after = recipe_digest(load_mixture("v2", write(v1=BASE.replace("0.43", "0.5"), v2=own)))
    assert before != after


@pytest.mark.parametrize(
    ("replay", "advice"),
    [
        ("{mixture: v1}", "give either rate"),
        ("{mixture: v1, rate: 0.2, weight: 0.3}", "give either rate"),
        ("{mixture: v1, rate: 1.5}", "less than or equal to 1"),
        ("{rate: 0.2}", "Field required"),
        ("{mixture: v1, weight: 0.9}", "they sum to 1.1"),
        ("{mixture: v0, rate: 0.2}", r"v0\.yaml: no such file"),
        ("{mixture: v2, rate: 0.2}", "replay mixtures form a cycle: v2 → v2"),
        ("{mixture: other, rate: 0.2}", "its held-out documents would be trained on"),
    ],
)
def test_a_wrong_replay_is_refused_with_advice(write, replay: str, advice: str):
    folder = write(
        v1=BASE,
        other=BASE.replace("heldout: {fraction: 0.01}", "heldout: {fraction: 0.02}"),
        v2=f"{REPLAY}replay: {replay}\ncomponents: {{book: {{sources: [book], weight: 0.2}}}}",
    )
    with pytest.raises(ConfigError, match=advice):
        load_mixture("v2", folder)


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
        ("components: {crawl: {sources: [ccc]}}", "no source 'ccc'; there are: book, cc, "),
        ("components: {crawl: {languages: [Chinese]}}", "match pattern"),
        ("components: {crawl: {exclude_safety: [drug]}}", "no safety label 'drug'; there are: .*drugs, "),
        ("components: {Crawl-2: {sources: [cc]}}", "match pattern"),
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

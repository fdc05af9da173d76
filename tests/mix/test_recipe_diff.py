"""The difference of two recipes: what was added, removed and changed, with both values."""

from phoenix_assets.mix.config import Mixture, load_mixture
from phoenix_assets.mix.diff import recipe_diff


def recipe(**changes: object) -> Mixture:
    values = {
        "version": "v1",
        "seed": 1,
        "heldout": {"fraction": 0.01},
        "validation": {"fraction": 0.01},
        "components": {"crawl": {"sources": ["cc"], "rate": 0.43}, "wiki": {"sources": ["wiki"]}},
    }
    return Mixture.model_validate(values | changes)


def test_a_recipe_does_not_differ_from_itself() -> None:
    assert recipe_diff(recipe(), recipe(version="v2", automatic=True)) == {
        "added": {}, "removed": {}, "changed": {}, "settings": {},
    }  # fmt: skip


def test_components_come_go_and_change_and_so_do_settings() -> None:
    parts = {"book": {"sources": ["book"]}, "crawl": {"sources": ["cc"], "rate": 0.5, "languages": ["zh"]}}
    found = recipe_diff(recipe(), recipe(components=parts, heldout={"fraction": 0.02}))
    assert found["added"] == {"book": {"sources": ["book"], "max_epochs": 1.0}}
    assert found["removed"] == {"wiki": {"sources": ["wiki"], "max_epochs": 1.0}}
    assert found["changed"] == {"crawl": {"languages": [None, ["zh"]], "rate": [0.43, 0.5]}}
    assert found["settings"] == {"heldout.fraction": [0.01, 0.02]}


def test_another_order_is_a_difference_because_the_first_component_that_fits_takes_the_document() -> None:
    parts = recipe().model_dump()["components"]
    found = recipe_diff(recipe(), recipe(components={name: parts[name] for name in ("wiki", "crawl")}))
    assert found["settings"] == {"order": [["crawl", "wiki"], ["wiki", "crawl"]]}


def test_the_replay_of_a_second_stage_is_a_difference() -> None:
    found = recipe_diff(load_mixture("v3"), load_mixture("v3-stage2"))
    assert found["settings"]["replay.rate"] == [None, 0.2]
    assert found["added"]["v3/crawl"]["rate"] == 0.43

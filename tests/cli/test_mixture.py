"""`phoenix mixture`: plans and differences from the tagged documents alone."""

import json

import polars as pl
import pytest
from click.testing import CliRunner

from phoenix_assets.cli import main


def invoke(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ("mixture", *arguments))
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    with pytest.MonkeyPatch.context() as environment:
        yield home_at(small_corpus).use(environment)


def test_the_plan_of_a_mixture_is_what_its_materialisation_brings(home) -> None:
    found = json.loads(invoke("plan", "v3", "--json"))
    chosen = home.lake.read(home.record("mix/v3").as_input()).collect()
    training = chosen.filter(pl.col("split") == "train")
    made = training.group_by("component").agg(
        documents=pl.len(), tokens=(pl.col("copies") * pl.col("est_tokens")).sum()
    )
    planned = {row["component"]: row for row in found["components"]}
    assert made.height > 5
    for row in made.iter_rows(named=True):
        assert planned[row["component"]]["documents"] == row["documents"]
        assert planned[row["component"]]["tokens"] == row["tokens"]
    assert found["total"]["documents"] == training.height
    assert found["missing"]["sources"] == ["poetry"]  # nothing of it has landed
    assert found["missing"]["licences"] == []


def test_a_mixture_is_planned_before_anything_of_it_has_run(home) -> None:
    assert home.ledger.head("mix/v3-stage2") is None
    shown = invoke("plan", "v3-stage2")
    assert shown.startswith("mixture v3-stage2, open\n")
    assert "v3/crawl" in shown and "10.0%" in shown
    assert home.ledger.head("mix/v3-stage2") is None


def test_the_difference_of_two_mixtures_has_recipes_and_plans(home) -> None:
    shown = invoke("diff", "v2.3", "v3")
    assert shown.startswith("v2.3 → v3\n+ crawl_other: sources cc, rate 0.43, ")
    assert "~ book: languages: zh, en → none" in shown
    found = json.loads(invoke("diff", "v1.1", "v2", "--json"))
    assert found["changed"]["crawl"] == {"languages": [["zh"], ["zh", "en"]]}
    first, second = (plan["total"]["tokens"] for plan in found["plans"])
    assert 0 < first < second


def test_an_unknown_mixture_is_a_message_with_those_there_are(home) -> None:
    assert "there are: v1.1, v2, v2.2, " in invoke("plan", "v7", code=1).replace("\n", "")


def test_where_nothing_is_tagged_there_is_a_difference_of_recipes_and_no_plan(empty_home) -> None:
    shown = invoke("diff", "v1.1", "v2")
    assert "~ crawl: languages: zh → zh, en" in shown
    assert shown.endswith("nothing is tagged yet: documents and tokens are not known\n")
    assert (
        invoke("plan", "v1.1", code=1) == "Error: mixture v1.1: nothing is tagged of book, cc, manual, qa\n"
    )
    assert "nothing is tagged of book, cc, manual, qa; run `phoenix materialize" in invoke(
        "freeze", "v1.1", code=1
    )

"""The leaderboard ranks runs within a language and compares each with its parent."""

import polars as pl
import pytest

from phoenix_assets.evaluate.leaderboard import curves, ranking


def score(experiment: str, lang: str, step: int, top1: float) -> dict[str, object]:
    return {
        "experiment": experiment,
        "lang": lang,
        "step": step,
        "tokens_seen": step * 100,
        "recall_top1": top1,
        "recall_top5": top1 + 0.2,
        "bits_per_char": 2 - top1,
        "perplexity": 100 / top1,
    }


SCORES = pl.DataFrame(
    [
        score("task029", "zh", 50, 0.40),
        score("task029", "zh", 100, 0.50),
        score("task030", "zh", 100, 0.55),
        score("task029", "en", 100, 0.70),
        score("task030", "en", 100, 0.65),
    ]
)
PARENTS = {"task029": None, "task030": "task029"}
TOKENIZERS = dict.fromkeys(PARENTS, "tokenizer")


def test_only_the_newest_checkpoint_of_a_run_is_ranked_best_first_in_each_language() -> None:
    table = ranking(SCORES, PARENTS, TOKENIZERS).select("lang", "experiment", "step")
    assert table.rows() == [
        ("en", "task029", 100),
        ("en", "task030", 100),
        ("zh", "task030", 100),
        ("zh", "task029", 100),
    ]


def test_a_run_shows_its_change_against_its_parent_and_a_root_shows_none() -> None:
    changes = {
        (row["experiment"], row["lang"]): row["recall_top1_change"]
        for row in ranking(SCORES, PARENTS, TOKENIZERS).iter_rows(named=True)
    }
    assert changes["task030", "zh"] == pytest.approx(0.05)
    assert changes["task030", "en"] == pytest.approx(-0.05)
    assert changes["task029", "zh"] is None


def test_a_parent_that_was_never_evaluated_leaves_the_change_empty() -> None:
    alone = SCORES.filter(pl.col("experiment") == "task030")
    assert ranking(alone, PARENTS, TOKENIZERS)["recall_top1_change"].null_count() == 2


def test_beside_a_parent_with_another_tokenizer_only_what_counts_by_the_character_is_compared() -> None:
    table = ranking(SCORES, PARENTS, TOKENIZERS | {"task030": "tokenizer_zh"}).filter(
        experiment="task030", lang="zh"
    )
    assert table["bits_per_char_change"].to_list() == [pytest.approx(-0.05)]
    assert table.select("recall_top1_change", "recall_top5_change", "perplexity_change").row(0) == (None,) * 3


def test_curves_go_over_tokens_in_order_for_each_run_and_language() -> None:
    tokens, values = curves(SCORES.reverse())["recall_top1"]["task029, zh"]
    assert (tokens, values) == ([5000, 10000], [0.40, 0.50])

"""The commands for people who tune filters, on the small corpus."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from phoenix_assets.clean.profiles import Rule
from phoenix_assets.cli import main
from phoenix_assets.lineage import SideTable

GOLDEN = Path(__file__).parents[1] / "golden" / "funnel_case.txt"


def invoke(*arguments: str, code: int = 0, text: str | None = None) -> str:
    result = CliRunner().invoke(main, arguments, input=text)
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    with pytest.MonkeyPatch.context() as environment:
        yield home_at(small_corpus).use(environment)


def ledger_of(home, source: str, stage: str) -> pl.DataFrame:
    heads = home.ledger.heads(f"{source}/{stage}").values()
    return pl.concat(home.lake.read(one.record.side_tables[SideTable.LEDGER]).collect() for one in heads)


def test_a_study_counts_what_a_cutoff_would_drop(home, tmp_path):
    plot, page = tmp_path / "plot.png", tmp_path / "study.html"
    found = json.loads(
        invoke(
            "thresholds", "cc", "number_words", "--cutoff", "at_least=150", "--sample", "3", "--json",
            "--plot", str(plot), "--html", str(page),
        )
    )  # fmt: skip
    ledger = ledger_of(home, "cc", "filtered")
    place = ledger["rules_name"][0].to_list().index(Rule.NUMBER_WORDS)
    lost = ledger.filter(pl.col("kept"), pl.col("rules_value").list.get(place) < 150)
    assert (found["rule"], found["bounds"][""]["at_least"]) == (Rule.NUMBER_WORDS, 1)
    assert found["total"]["all"] == ledger.height
    assert found["total"]["would_drop"] == lost.height > 0
    assert found["total"]["would_return"] == 0
    assert found["profile_file"] == "config/filters/default.yaml"
    shown = found["samples"]["would_drop"]
    assert [row["doc_id"] for row in shown] == sorted(lost["doc_id"])[:3]
    assert all(row["text"] and row["value"] < 150 for row in shown)
    assert {row["lang"]: row["all"] for row in found["languages"]} == dict(
        ledger["lang"].value_counts().iter_rows()
    )
    assert plot.read_bytes().startswith(b"\x89PNG")
    written = page.read_text("utf-8")
    assert (
        "data:image/png;base64," in written and shown[0]["doc_id"] in written and "http" not in written[:2000]
    )


def test_a_study_counts_what_a_cutoff_would_bring_back_in_one_language(home):
    found = json.loads(invoke("thresholds", "cc", "short_line", "--lang", "en", "--cutoff", "1.1", "--json"))
    ledger = ledger_of(home, "cc", "filtered").filter(pl.col("lang") == "en")
    failing = ledger.filter(pl.col("drop_reason") == Rule.SHORT_LINE)
    assert [row["lang"] for row in found["languages"]] == ["en"]
    assert 0 < found["total"]["would_return"] <= failing.height
    assert {row["drop_reason"] for row in found["samples"]["would_return"]} == {Rule.SHORT_LINE}


def test_a_study_in_the_terminal_marks_the_bound_and_says_where_to_change_it(home):
    shown = invoke("thresholds", "cc", "perplexity")
    assert "◄ now < 1,400" in shown
    assert "to change it: config/filters/default.yaml, rules › cond_check_perplexity" in shown
    assert "█" in shown and "would drop" not in shown


def test_a_rule_source_or_bound_that_there_is_not_is_a_message(home):
    assert "no rule 'colour'; there are: cond_check_perplexity" in invoke(
        "thresholds", "cc", "colour", code=1
    )
    assert "no source 'ccc'; there are: " in invoke("thresholds", "ccc", "perplexity", code=1)
    shown = invoke("thresholds", "cc", "number_words", "--cutoff", "5", code=1)
    assert "at_least=5, at_most=5" in shown
    assert "is no number" in invoke("thresholds", "cc", "perplexity", "--cutoff", "many", code=1)
    assert "holds no delivery 'x'; it holds: " in invoke(
        "thresholds", "cc", "perplexity", "--delivery", "x", code=1
    )


def test_the_golden_document_has_its_values_through_the_command(home):
    found = json.loads(invoke("check-text", "--source", "cc", str(GOLDEN), "--json"))
    rules = {rule["rule"]: rule for rule in found["rules"]}
    assert (found["lang"], found["kept"]) == ("zh", False)
    assert rules[Rule.LANG_ID]["holds"] is False
    assert rules[Rule.CHARACTER_REPETITION]["value"] == 0.04922279792746114
    assert rules[Rule.SPECIAL_CHARACTERS]["value"] == 80 / 395
    assert rules[Rule.SHORT_LINE]["value"] == 0.2
    assert rules[Rule.FLAGGED_WORDS]["value"] == 0.0
    assert rules[Rule.PERPLEXITY]["bounds"] == {"below": 1400}
    assert rules[Rule.STOPWORDS]["enforced"] is False
    assert set(Rule) >= set(rules) and len(rules) >= 9


def test_a_text_is_shown_as_the_pipeline_would_see_it(home):
    shown = invoke("check-text", "--source", "cc", "--normalized", text="你好,\ufeff世界\r\n")
    assert shown.splitlines()[0].startswith("language ")
    assert shown.rstrip().endswith("你好，世界")
    nothing = json.loads(invoke("check-text", "--source", "cc", "--normalized", "--json", text="\ufeff"))
    assert nothing["drop_reason"] == "empty_after_normalization"


def test_perplexity_that_no_model_can_judge_is_said(home, empty_home):
    shown = invoke("check-text", "--source", "cc", text="今天天气很好，我们一起去公园散步吧。")
    assert "note: models/kenlm_zh is not materialised" in shown
    assert "cond_check_perplexity" in shown and "not judged" in shown


def test_dropped_documents_are_read_with_reason_values_and_text(home):
    counted = json.loads(invoke("drops", "cc", "--json"))
    ledger = ledger_of(home, "cc", "filtered").filter(~pl.col("kept"))
    assert {row["reason"]: row["documents"] for row in counted} == dict(
        ledger["drop_reason"].value_counts().iter_rows()
    )
    reason = counted[0]["reason"]
    shown = json.loads(invoke("drops", "cc", "--reason", reason, "--sample", "2", "--json"))
    assert [row["doc_id"] for row in shown] == sorted(ledger.filter(drop_reason=reason)["doc_id"])[:2]
    for row in shown:
        assert row["text"] and not {rule["rule"]: rule["holds"] for rule in row["rules"]}[reason]
    assert f"dropped: {reason}" in invoke("drops", "cc", "--reason", reason, "--sample", "1", "--full")


def test_a_dropped_duplicate_is_shown_beside_the_copy_that_was_kept(home):
    shown = json.loads(
        invoke("drops", "cc", "--stage", "deduped", "--reason", "exact", "--sample", "2", "--json")
    )
    assert shown
    for row in shown:
        assert row["duplicate_of"] and row["twin"]["locator"] != row["locator"]
        assert row["twin"]["text"] == row["text"]
    assert "copy of: " in invoke("drops", "cc", "--stage", "deduped", "--reason", "exact", "--sample", "1")


def test_drops_are_scored_again_without_running_the_stage(home, tmp_path):
    before, output = home.record_ids(), tmp_path / "scores.parquet"
    found = json.loads(
        invoke("rescore", "cc", "--at-least", "0.2", "--sample", "2", "--output", str(output), "--json")
    )
    ledger = ledger_of(home, "cc", "filtered").filter(~pl.col("kept"))
    written = pl.read_parquet(output)
    assert sorted(written["doc_id"]) == sorted(ledger["doc_id"])
    assert (
        written.join(ledger, left_on=["doc_id", "reason"], right_on=["doc_id", "drop_reason"]).height
        == ledger.height
    )
    assert found["documents"] == ledger.height
    assert found["chosen"] == written["chosen"].sum() == (written["score"] >= 0.2).sum()
    assert sum(found["histogram"]["documents"]) + found["unscored"] == found["documents"]
    assert home.record_ids() == before and [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_the_score_of_a_keep_is_the_one_that_tagging_gave_it_unless_passages_were_cut_out(home, tmp_path):
    output = tmp_path / "keeps.parquet"
    shown = invoke("rescore", "cc", "--of", "keeps", "--sample", "0", "--output", str(output))
    assert "keeps (models/quality)" in shown and "should perhaps have been dropped" in shown
    filtered, tagged = (
        pl.concat(home.lake.read(one.as_input()).collect() for one in home.ledger.heads(stage).values())
        for stage in ("cc/filtered", "cc/tagged")
    )
    both = tagged.join(pl.read_parquet(output), on="doc_id")
    assert both.height == tagged.height
    whole = both.join(filtered, on=["doc_id", "text"], how="semi")
    assert whole.height > 0
    assert whole["quality"].equals(whole["score"], check_names=False)


def test_perplexity_scores_again_what_one_reason_dropped(home, tmp_path):
    output = tmp_path / "perplexity.parquet"
    invoke("rescore", "cc", "--scorer", "perplexity_en", "--reason", "perplexity", "--output", str(output))
    scores = pl.read_parquet(output)
    assert scores["reason"].unique().to_list() == [Rule.PERPLEXITY]
    assert scores.filter(pl.col("lang") == "en")["score"].min() >= 1400
    assert scores.filter(pl.col("lang") != "en")["score"].null_count() == (scores["lang"] != "en").sum()
    assert "no scorer 'colour'; there are: quality, " in invoke("rescore", "cc", "--scorer", "colour", code=1)

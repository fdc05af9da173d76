import polars as pl
import pytest

from phoenix_assets.clean.funnel import FUNNEL, VALUES, FunnelModels, funnel, judge, measure
from phoenix_assets.clean.profiles import NINE, Rule
from phoenix_assets.schema import KEPT


def documents(*texts):
    return pl.DataFrame(
        {"doc_id": [f"{i:032x}" for i in range(len(texts))], "text": texts},
        schema={"doc_id": pl.String, "text": pl.String},
    )


def measured(**values):
    row = {"doc_id": "d", "lang": "en"} | {VALUES[rule]: None for rule in Rule} | values
    schema = {"doc_id": pl.String, "lang": pl.String} | dict.fromkeys(VALUES.values(), pl.Float64)
    return pl.DataFrame([row], schema=schema)


def verdict(profile, **values):
    row = judge(measured(**values), profile).row(0, named=True)
    return row["drop_reason"], dict(zip(row["rules_name"], row["rules_cond"], strict=True))


def test_the_golden_document_is_dropped_for_its_japanese_end(golden, profiles, lid_path):
    row = funnel(documents(golden), profiles["default"], FunnelModels(lid_path)).row(0, named=True)
    values = dict(zip(row["rules_name"], row["rules_value"], strict=True))
    assert (row["kept"], row["drop_reason"]) == (False, Rule.LANG_ID)
    assert values[Rule.CHARACTER_REPETITION] == 0.04922279792746114
    assert values[Rule.SPECIAL_CHARACTERS] == 80 / 395
    assert values[Rule.SHORT_LINE] == 0.2
    assert values[Rule.FLAGGED_WORDS] == 0.0


def test_good_text_is_kept(profiles, funnel_models, english, chinese):
    prose = [text for text in english if "\n\n" not in text][:1] or english[:1]
    table = funnel(documents(chinese[7]), profiles["default"], funnel_models)
    assert table["drop_reason"].to_list() == [KEPT]
    assert funnel(documents(*prose), profiles["manual"], funnel_models)["lang"].to_list() == ["en"]


def test_every_row_lists_the_nine_rules_first_and_nothing_is_lost(profiles, funnel_models, english, chinese):
    batch = documents(*english[:30], *chinese, "", None, "1 2 3", "fuck " * 40)
    table = funnel(batch, profiles["default"], funnel_models)
    assert table.schema == FUNNEL
    assert table["doc_id"].to_list() == batch["doc_id"].to_list()
    for column in ("rules_name", "rules_value", "rules_cond"):
        assert table[column].list.len().unique().to_list() == [len(profiles["default"].judged)]
    assert table["rules_name"].list.head(9).to_list() == [[rule.value for rule in NINE]] * batch.height
    assert table["rules_cond"].list.eval(pl.element().is_null().any()).list.first().any() is False
    assert (table["kept"] == (table["drop_reason"] == KEPT)).all()


def test_a_batch_and_its_halves_are_judged_alike(profiles, funnel_models, english, chinese):
    batch = documents(*english[:20], *chinese[:10], None)
    halves = [funnel(half, profiles["default"], funnel_models) for half in (batch[:7], batch[7:])]
    assert funnel(batch, profiles["default"], funnel_models).equals(pl.concat(halves))


def test_no_documents_give_an_empty_table(profiles, funnel_models):
    table = funnel(documents(), profiles["default"], funnel_models)
    assert table.schema == FUNNEL
    assert table.height == 0


def test_empty_texts_are_dropped(profiles, funnel_models):
    table = funnel(documents("", None), profiles["default"], funnel_models)
    assert table["kept"].to_list() == [False, False]
    assert table["lang"].to_list() == ["", ""]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"perplexity": 1400.0, "lang_score": 0.1}, Rule.PERPLEXITY),
        ({"perplexity": 1399.9, "lang_score": 0.75}, Rule.LANG_ID),
        ({"flagged_words": 0.2, "number_words": 0.0}, Rule.FLAGGED_WORDS),
        ({"special_characters": 0.3}, Rule.SPECIAL_CHARACTERS),
        ({"character_repetition": 0.107, "word_repetition": 0.2}, Rule.CHARACTER_REPETITION),
        ({"word_repetition": 0.191, "short_lines": 0.5}, Rule.WORD_REPETITION),
        ({"short_lines": 0.5}, Rule.SHORT_LINE),
        ({"number_words": 100001.0}, Rule.NUMBER_WORDS),
        (
            {"character_repetition": 0.106, "word_repetition": 0.19, "number_words": 1.0, "stopwords": -1.0},
            KEPT,
        ),
        ({}, KEPT),
    ],
)
def test_the_highest_priority_failing_rule_names_the_reason(profiles, values, reason):
    assert verdict(profiles["default"], **values)[0] == reason


def test_a_rule_that_is_not_enforced_fails_without_dropping(profiles):
    reason, conditions = verdict(profiles["code"], perplexity=9999.0, lang_score=0.1, short_lines=1.0)
    assert reason == KEPT
    assert [name for name, cond in conditions.items() if not cond] == [
        Rule.PERPLEXITY,
        Rule.LANG_ID,
        Rule.SHORT_LINE,
    ]


def test_bounds_follow_the_detected_language(profiles):
    assert verdict(profiles["book"], lang="zh", lang_score=0.6, number_words=1e6)[0] == KEPT
    assert verdict(profiles["book"], lang="en", lang_score=0.6, number_words=1e6)[0] == Rule.LANG_ID


def test_measuring_once_serves_every_profile(profiles, funnel_models, english):
    batch = documents(*english[:10])
    values = measure(batch, profiles["default"], funnel_models)
    assert judge(values, profiles["qa"]).equals(funnel(batch, profiles["qa"], funnel_models))


def test_a_rule_that_was_not_measured_has_no_value_and_drops_nothing(profiles, funnel_models, english):
    values = measure(documents(english[0]), profiles["default"], funnel_models)
    row = judge(values, profiles["code"]).row(0, named=True)
    further = dict(
        zip(row["rules_name"], zip(row["rules_value"], row["rules_cond"], strict=True), strict=True)
    )
    assert further[Rule.MAX_LINE_LENGTH] == (None, True)

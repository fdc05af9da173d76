import numpy as np
import polars as pl
import pytest

from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.funnel import judge
from phoenix_assets.clean.profiles import SAFETY, Rule, SafetyList, load_safety
from phoenix_assets.clean.safety import label, level_terms, safety_values
from phoenix_assets.clean.wordlists import flagged_words
from phoenix_assets.config import config_dir

LEVELS = [
    "politics", "pornography", "extremism", "minors", "drugs", "gambling", "contraband", "vulgarity", "violence",
]  # fmt: skip


@pytest.fixture(scope="module")
def values(profiles):
    def compute(*texts, **lists):
        safety = {Rule(f"safety_{level}"): listed for level, listed in lists.items()} or profiles[
            "default"
        ].safety
        profile = profiles["default"].model_copy(update={"safety": safety})
        return safety_values(codepoints(pl.Series(texts, dtype=pl.String)), profile)

    return compute


def listed(minimum=1, **terms):
    return SafetyList(description="x", terms=terms, minimum_matches=minimum)


def test_the_levels_are_the_teams_in_their_order():
    assert list(SAFETY.values()) == LEVELS


@pytest.mark.parametrize(
    ("level", "text"),
    [
        ("drugs", "警方查获冰毒和海洛因，两名毒贩因贩毒被捕。"),
        ("drugs", "He was caught selling heroin and cocaine in the harbour."),
        ("gambling", "六合彩、百家乐、老虎机，网上赌场天天开放投注。"),
        ("gambling", "Best online casino: slot machines, roulette and a jackpot today."),
        ("vulgarity", "他妈的，这个王八蛋，真是混蛋。"),
        ("vulgarity", "You fucking asshole, this is bullshit."),
        ("extremism", "恐怖组织策划了自杀式袭击。"),
        ("pornography", "成人电影、黄色网站、裸聊和一夜情。"),
    ],
)
def test_a_text_full_of_a_levels_words_has_its_value(values, level, text):
    row = values(text).row(0, named=True)
    assert row[f"safety_{level}"] > 0.05


@pytest.mark.parametrize(
    "text",
    [
        "十字路口交通堵塞，出口交易额上升，他在窗口交费。",
        "这个软件的性能很好，成人教育中心的成绩也好，激情满怀。",
        "The assassin passed a classic grass path to Essex and Scunthorpe.",
        "他用冰块解毒，海洛和因果无关。",
        "Heroines and cocained are no words of the list.",
    ],
)
def test_words_within_other_words_are_no_matches(values, text):
    assert values(text).row(0) == (0.0,) * len(LEVELS)


def test_a_value_is_the_share_of_characters_in_matches(values):
    drugs = listed(zh=("冰毒",), en=("crystal meth", "meth"))
    shares = values("冰毒x冰毒", "Crystal Meth!", "METH", "method", "", None, drugs=drugs)["safety_drugs"]
    assert shares.to_list() == [4 / 5, 12 / 13, 1.0, 0.0, 0.0, 0.0]


def test_fewer_matches_than_the_minimum_are_no_evidence(values):
    drugs = listed(minimum=2, zh=("冰毒",))
    assert values("冰毒", "冰毒，冰毒", drugs=drugs)["safety_drugs"].to_list() == [0.0, 4 / 5]


def test_a_packages_term_belongs_to_the_level_that_names_it_itself():
    lists = load_safety(config_dir() / "safety")
    terms = level_terms(lists)
    assert "asshole" in flagged_words()["en"] and terms["asshole"] == Rule.VULGARITY
    assert "blowjob" in flagged_words()["en"] and terms["blowjob"] == Rule.PORNOGRAPHY
    assert "性" in flagged_words()["zh"] and "性" not in terms


def test_every_level_has_words_in_both_languages():
    for rule, terms in load_safety(config_dir() / "safety").items():
        assert terms.terms["zh"] and terms.terms["en"], rule


def test_the_first_failing_level_names_the_label():
    rules = (Rule.NUMBER_WORDS, Rule.POLITICS, Rule.DRUGS, Rule.VIOLENCE)
    conditions = np.array([[False, True, True, True], [True, True, False, False], [True, False, True, False]])
    assert label(rules, conditions).to_list() == ["", "drugs", "politics"]


def test_a_label_drops_only_where_its_profile_enforces_it(profiles):
    measured = pl.DataFrame({"doc_id": ["d"], "lang": ["zh"], "lang_score": [0.9], "perplexity": [100.0]})
    measured = measured.with_columns(safety_drugs=pl.lit(0.5))
    named = judge(measured, profiles["default"]).row(0, named=True)
    assert (named["safety"], named["kept"]) == ("drugs", True)
    strict = profiles["default"].rules[Rule.DRUGS].model_copy(update={"enforced": True})
    rules = {**profiles["default"].rules, Rule.DRUGS: strict}
    dropped = judge(measured, profiles["default"].model_copy(update={"rules": rules})).row(0, named=True)
    assert (dropped["safety"], dropped["kept"], dropped["drop_reason"]) == ("drugs", False, "safety_drugs")

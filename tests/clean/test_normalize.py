from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.clean import normalize as steps
from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.config import NormalizeConfig, load_normalize
from phoenix_assets.clean.punctuation import unify_punctuation

GOLDEN = yaml.safe_load((Path(__file__).parents[1] / "golden" / "normalize.yaml").read_text("utf-8"))
STEPS = {
    "unify_line_ends": steps.unify_line_ends,
    "remove_invisible": steps.remove_invisible,
    "remove_unprintable": steps.remove_unprintable,
    "traditional_to_simplified": steps.traditional_to_simplified,
    "halfwidth_alphanumerics": steps.halfwidth_alphanumerics,
    "remove_abnormal_words": lambda points: steps.remove_abnormal_words(points, max_word_length=48),
    "collapse_spaces": lambda points: steps.collapse_spaces(points, keep_layout=False),
    "unify_punctuation": unify_punctuation,
}
SWITCHES = [*STEPS]

awkward = st.text(
    "aB1 \t\n\r,.:;!?()（），。：！？．、「」`~$\\[]/-中文字〇カー\u3000\u200b\ufeff\x00\ufffd\ue000Ａ１é",
    max_size=80,
)
texts = st.lists(st.one_of(awkward, st.text(max_size=60)), max_size=6)


def applied(step, *values):
    points = step(codepoints(pl.Series(values, dtype=pl.String)))
    return steps.texts(points, "t").to_list()


@pytest.mark.parametrize(
    ("step", "lang", "before", "after"),
    [(step, *case) for step, cases in GOLDEN.items() for case in cases],
)
def test_a_step_makes_of_a_text_what_its_rules_say(step, lang, before, after):
    assert applied(STEPS[step], before) == [after]


def test_every_step_has_golden_cases_in_both_languages():
    assert list(GOLDEN) == list(STEPS)
    for cases in GOLDEN.values():
        assert {"zh", "en"} <= {lang for lang, _, _ in cases}


@pytest.mark.parametrize("step", SWITCHES)
def test_each_step_can_be_switched_on_alone(step):
    config = NormalizeConfig(max_word_length=48, **{name: name == step for name in SWITCHES})
    _, before, after = GOLDEN[step][0]
    assert steps.normalize(pl.Series([before]), config).to_list() == [after]


@settings(deadline=None, max_examples=200)
@given(texts, st.booleans(), st.booleans(), st.integers(1, 30))
def test_normalising_twice_changes_nothing(values, keep_layout, simplify, longest):
    config = NormalizeConfig(
        keep_layout=keep_layout, traditional_to_simplified=simplify, max_word_length=longest
    )
    once = steps.normalize(pl.Series("t", values, dtype=pl.String), config)
    assert steps.normalize(once, config).to_list() == once.to_list()


@settings(deadline=None)
@given(texts)
def test_each_step_alone_is_a_fixed_point(values):
    for name, step in STEPS.items():
        once = applied(step, *values)
        assert applied(step, *once) == once, name


@settings(deadline=None, max_examples=50)
@given(texts)
def test_a_column_and_its_parts_are_normalised_alike(values):
    config = NormalizeConfig(max_word_length=48)
    column = pl.Series("t", values, dtype=pl.String)
    apart = [steps.normalize(column[i : i + 1], config)[0] for i in range(len(values))]
    assert steps.normalize(column, config).to_list() == apart


def test_nulls_stay_null_and_the_name_stays():
    result = steps.normalize(pl.Series("text", ["a  b", None]), load_normalize("cc"))
    assert result.name == "text"
    assert result.to_list() == ["a b", None]


def test_layout_is_kept_where_asked():
    code = "def f():\n\tx  = 1   \n\n\n\n\n    return x\n"
    found = applied(lambda points: steps.collapse_spaces(points, keep_layout=True), code)
    assert found == ["def f():\n\tx  = 1\n\n\n    return x"]


def test_code_keeps_its_layout_and_punctuation():
    config = load_normalize("code")
    source = "# 注释, 说明\nif x:\n    y = {'a':  1}"
    assert steps.normalize(pl.Series([source]), config).to_list() == [source]

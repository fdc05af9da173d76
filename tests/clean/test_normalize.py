import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.clean import normalize as steps
from phoenix_assets.clean.config import NormalizeConfig, load_normalize
from phoenix_assets.clean.punctuation import unify_punctuation

awkward = st.text(
    "aB1 \t\n\r,.:;!?()（），。：！？、「」`/-中文字〇カー\u3000\u200b\ufeff\x00\ufffd\ue000Ａ１é",
    max_size=80,
)
texts = st.lists(st.one_of(awkward, st.text(max_size=60)), max_size=6)


def applied(step, *values, **settings_):
    return (
        pl.DataFrame({"t": values}, schema={"t": pl.String})
        .select(step(pl.col("t"), **settings_))["t"]
        .to_list()
    )


def unified(text):
    return unify_punctuation(pl.Series([text]))[0]


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
    series = pl.Series("t", values, dtype=pl.String)
    once = unify_punctuation(series)
    assert unify_punctuation(once).to_list() == once.to_list()
    for step in (
        steps.unify_line_ends,
        steps.remove_invisible,
        steps.remove_unprintable,
        steps.halfwidth_alphanumerics,
    ):
        first = applied(step, *values)
        assert applied(step, *first) == first


def test_nulls_stay_null_and_the_name_stays():
    result = steps.normalize(pl.Series("text", ["a  b", None]), load_normalize("cc"))
    assert result.name == "text"
    assert result.to_list() == ["a b", None]


def test_line_ends_become_one_kind():
    assert applied(steps.unify_line_ends, "a\r\nb\rc\u2028d") == ["a\nb\nc\nd"]


def test_characters_without_width_go_and_joiners_stay():
    assert applied(steps.remove_invisible, "\ufeffa\u200bb\u00adc", "می\u200cخواهم") == [
        "abc",
        "می\u200cخواهم",
    ]


def test_unprintable_ascii_goes_but_newline_and_tab():
    assert applied(steps.remove_unprintable, "a\x00\x08b\tc\nd\x7f\x1b") == ["ab\tc\nd"]


def test_words_over_the_length_go_and_their_neighbours_stay():
    blob = "QUJD" * 40
    found = applied(
        steps.remove_abnormal_words, f"前{blob}后 and https://example.org/path", max_word_length=128
    )
    assert found == ["前后 and https://example.org/path"]


def test_words_with_abnormal_characters_go():
    found = applied(steps.remove_abnormal_words, "good b\ufffdd\ue000x (ok) 中\ufffd文", max_word_length=128)
    assert found == ["good  (ok) 中文"]


def test_spaces_and_blank_lines_collapse():
    found = applied(steps.collapse_spaces, "  a \t b\u3000\n\n\n\n　c  ", keep_layout=False)
    assert found == ["a b\n\nc"]


def test_layout_is_kept_where_asked():
    code = "def f():\n\tx  = 1   \n\n\n\n\n    return x\n"
    found = applied(steps.collapse_spaces, code, keep_layout=True)
    assert found == ["def f():\n\tx  = 1\n\n\n    return x"]


def test_traditional_becomes_simplified():
    assert steps.traditional_to_simplified(pl.Series(["漢語", None, "abc"])).to_list() == [
        "汉语",
        None,
        "abc",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好, 世界!", "你好，世界！"),
        ("价格:100元;完.", "价格：100元；完。"),
        ("树(土)和(a)", "树（土）和（a)".replace("a)", "a）")),
        ("Hello，world！ Yes", "Hello,world! Yes"),
        ("Hello, world. (fine)", "Hello, world. (fine)"),
        ("见https://a.cn/b?c=1,2:3", "见https://a.cn/b?c=1,2:3"),
        ("约3,000.5个", "约3,000.5个"),
        ("用`中,文`吧,好", "用`中,文`吧，好"),
        ("好,\n```\n# 中,文\n```\n好,", "好，\n```\n# 中,文\n```\n好，"),
        ("好,\n    代码,\n好,", "好，\n    代码,\n好，"),
        ("等等...", "等等..."),
        ("「引」, 后", "「引」，后"),
    ],
)
def test_punctuation_follows_its_context(text, expected):
    assert unified(text) == expected


def test_code_keeps_its_layout_and_punctuation():
    config = load_normalize("code")
    source = "# 注释, 说明\nif x:\n    y = {'a':  1}"
    assert steps.normalize(pl.Series([source]), config).to_list() == [source]

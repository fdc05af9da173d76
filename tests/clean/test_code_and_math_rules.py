import base64
import random

import polars as pl
import pytest

from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.code_rules import code_rules
from phoenix_assets.clean.funnel import judge
from phoenix_assets.clean.math_rules import unbalanced_math
from phoenix_assets.clean.profiles import NINE, Rule
from phoenix_assets.schema import KEPT

BLOB = base64.b64encode(random.Random(7).randbytes(1200)).decode()
CODE = "def area(radius):\n    # 圆的面积\n    return 3.14159 * radius ** 2\n" * 4


def rules(text, shortest=64):
    return code_rules(codepoints(pl.Series([text])), shortest).row(0, named=True)


def test_ordinary_code_has_nothing_of_what_is_looked_for():
    found = rules(CODE)
    assert (found["abnormal_characters"], found["foreign_characters"], found["base64"]) == (0.0, 0.0, 0.0)
    assert found["max_line_length"] == len("    return 3.14159 * radius ** 2")
    assert found["avg_line_length"] == sum(map(len, CODE.split("\n"))) / 13


@pytest.mark.parametrize(
    ("text", "share"),
    [("a\ufffdb", 1 / 3), ("a\ue000", 1 / 2), ("中文 abc 123", 0.0), ("emoji 🎉 → ok", 0.0)],
)
def test_abnormal_characters_are_counted(text, share):
    assert rules(text)["abnormal_characters"] == share


@pytest.mark.parametrize(
    ("text", "share"),
    [("aя", 1 / 2), ("é", 1.0), ("中文abcＡ１，。", 0.0), ("5 µs, 20 ℃", 0.0), ("カタ", 1.0), ("한", 1.0)],
)
def test_letters_neither_chinese_nor_english_are_counted(text, share):
    assert rules(text)["foreign_characters"] == share


@pytest.mark.parametrize(
    ("text", "run"),
    [
        (f'x = "{BLOB}"', len(BLOB)),
        ("data:image/png;base64," + BLOB[:100], 100),
        ("\n".join(BLOB[i : i + 76] for i in range(0, 760, 76)), 769),
        (BLOB[:63], 0),
        ("a" * 200, 0),
        ("0123456789abcdef" * 10, 0),
        ("\n".join(["Word", "list", "With7", "digits"] * 40), 0),
        ("phoenix_assets.clean.code_rules " * 10, 0),
    ],
)
def test_base64_is_found_by_its_alphabet_and_its_mixture(text, run):
    found = rules(text)
    assert found["base64_run"] == run
    assert found["base64"] == run / len(text)


def test_an_empty_text_has_no_shares():
    assert set(rules("").values()) == {0.0}


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (r"设 $x^{2}$ 和 $$y$$。", 0.0),
        (r"\(a\) and \[b\]", 0.0),
        (r"\begin{align} x &= y \end{align}", 0.0),
        ("no formulas", 0.0),
        ("$x", 1.0),
        (r"{a} \(b", 1 / 3),
        (r"}", 1.0),
        (r"price \$5 and \{", 0.0),
        ("$a\n\nb$", 1.0),
        ("$a\nb$", 0.0),
        (r"\begin{align} x", 1 / 3),
    ],
)
def test_what_does_not_close_is_garbled(text, share):
    assert unbalanced_math(codepoints(pl.Series([text]))).to_list() == [share]


def measured(**values):
    row = {
        "doc_id": "d",
        "lang": "en",
        "lang_score": 0.9,
        "perplexity": 100.0,
        "special_characters": 0.2,
    } | values
    return pl.DataFrame([row])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"abnormal_characters": 0.0001, "foreign_characters": 0.5}, Rule.ABNORMAL_CHARACTERS),
        ({"foreign_characters": 0.0001}, Rule.FOREIGN_CHARACTERS),
        ({"max_line_length": 1001.0}, Rule.MAX_LINE_LENGTH),
        ({"avg_line_length": 100.5}, Rule.AVERAGE_LINE_LENGTH),
        ({"alphanumeric_characters": 0.2}, Rule.ALPHANUMERIC),
        ({"base64": 0.6}, Rule.ENCODED_SHARE),
        ({"base64_run": 1025.0}, Rule.ENCODED_RUN),
        ({"max_line_length": 1000.0, "avg_line_length": 100.0, "alphanumeric_characters": 0.25}, KEPT),
    ],
)
def test_the_code_profile_drops_what_is_no_code(profiles, values, reason):
    row = judge(measured(**values), profiles["code"]).row(0, named=True)
    assert row["drop_reason"] == reason
    assert row["rules_name"][:9] == list(NINE)
    assert len(row["rules_name"]) == len(row["rules_value"]) == len(row["rules_cond"])


def test_only_a_profile_that_names_a_further_rule_has_it(profiles):
    named = {
        name: [rule for rule in profile.judged if rule.startswith("cond")]
        for name, profile in profiles.items()
    }
    assert named["default"] == named["classical"] == named["dictionary"] == list(NINE)
    assert Rule.FOREIGN_CHARACTERS in named["code"] and Rule.UNBALANCED_MATH not in named["code"]
    assert Rule.UNBALANCED_MATH in named["math"]

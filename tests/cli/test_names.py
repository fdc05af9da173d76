"""A name may be typed short so long as it can mean one thing only."""

import pytest

from phoenix_assets.clean.profiles import Rule
from phoenix_assets.cli.names import named, named_source
from phoenix_assets.errors import ConfigError

RULES = [rule.value for rule in Rule]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("perplexity", Rule.PERPLEXITY),
        ("cond_check_lang_id", Rule.LANG_ID),
        ("short-line", Rule.SHORT_LINE),
        ("Character_Rep", Rule.CHARACTER_REPETITION),
    ],
)
def test_an_unambiguous_part_is_enough(typed, meant):
    assert named(typed, RULES, "rule") == meant


def test_the_end_of_a_name_wins_over_a_part_of_another():
    assert named("base64", ["check_base64", "check_base64_run"], "rule") == "check_base64"


@pytest.mark.parametrize("typed", ["repetition", "cond"])
def test_an_ambiguous_part_names_what_it_may_be(typed):
    with pytest.raises(ConfigError, match=f"rule '{typed}' may be .*repetition.*; there are: "):
        named(typed, RULES, "rule")


def test_what_there_is_not_lists_what_there_is():
    with pytest.raises(ConfigError, match="no rule 'colour'; there are: cond_check_perplexity, "):
        named("colour", RULES, "rule")
    with pytest.raises(ConfigError, match=r"no source 'c'; there are: .*cc"):
        named_source("c")

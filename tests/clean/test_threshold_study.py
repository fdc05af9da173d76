"""Another cutoff, judged from the ledger alone, says what the funnel itself would say under it."""

import polars as pl
import pytest

from phoenix_assets.clean.funnel import VALUES, judge
from phoenix_assets.clean.profiles import Bounds, Rule, load_profiles
from phoenix_assets.clean.study_config import ProfileInForce
from phoenix_assets.clean.threshold_study import (
    ANY,
    axis_over,
    by_language,
    bytes_per_character,
    judged,
    new_bounds,
    sampled,
    summary,
    tally,
    within,
)
from phoenix_assets.schema import LEDGER

PERPLEXITY, LANG_ID = Rule.PERPLEXITY.value, Rule.LANG_ID.value


@pytest.fixture(scope="module")
def profile():
    """The book profile: Chinese has a bound of its own for language identification."""
    return load_profiles()["book"]


@pytest.fixture(scope="module")
def measured():
    """200 documents over a grid of perplexities and language scores; the other rules pass."""
    rows = [
        {
            **dict.fromkeys(VALUES.values(), 0.0),
            "doc_id": f"{n:032x}",
            "lang": ("zh", "en", "ja")[n % 3],
            "perplexity": None if n % 3 == 2 else 100.0 + 25 * n,
            "lang_score": n % 11 / 10,
            "number_words": 1000.0,
        }
        for n in range(200)
    ]
    schema = {"doc_id": pl.String, "lang": pl.String} | dict.fromkeys(VALUES.values(), pl.Float64)
    return pl.DataFrame(rows, schema=schema)


def ledger_of(measured, profile):
    rows = judge(measured, profile).with_columns(delivery=pl.lit("d"), chars_in=pl.lit(100, pl.Int64))
    return rows.match_to_schema(LEDGER, missing_columns="insert", extra_columns="ignore").lazy()


def rules(ledger):
    return ledger.select("rules_name").head(1).collect()["rules_name"].to_list()[0]


def study(measured, profile, rule, bounds, lang=None):
    ledger, in_force = ledger_of(measured, profile), ProfileInForce.of(profile.model_dump(mode="json"))
    new = new_bounds(in_force, rule, bounds, lang) if bounds else None
    return judged(ledger, rule, rules(ledger), in_force, new)


def edited(profile, rule, lang=None, **bounds):
    """Return the profile as it would be after a person had edited one bound."""
    dump = profile.model_dump(mode="json")
    settings = dump["languages"][lang] if lang else dump["rules"]
    settings[rule] |= dict.fromkeys(("above", "at_least", "below", "at_most")) | bounds
    return type(profile).model_validate(dump)


@pytest.mark.parametrize(
    ("rule", "lang", "bounds"),
    [
        (PERPLEXITY, None, {"below": 500.0}),
        (PERPLEXITY, None, {"below": 9000.0}),
        (LANG_ID, None, {"above": 0.2}),
        (LANG_ID, None, {"above": 0.95}),
        (LANG_ID, "zh", {"above": 0.95}),
    ],
)
def test_the_ledger_alone_gives_what_the_funnel_gives_under_the_new_bound(
    measured, profile, rule, lang, bounds
):
    rows = study(measured, profile, rule, Bounds(**bounds), lang).collect()
    anew = judge(measured, edited(profile, rule, lang, **bounds))
    assert rows["would_keep"].to_list() == anew["kept"].to_list()
    assert rows["kept"].to_list() == judge(measured, profile)["kept"].to_list()
    assert (rows["would_keep"] != rows["kept"]).any()


def test_without_a_cutoff_nothing_would_change(measured, profile):
    rows = study(measured, profile, PERPLEXITY, None).collect()
    assert rows["would_keep"].equals(rows["kept"], check_names=False)
    assert rows["would_pass"].equals(rows["passes"], check_names=False)


def test_a_language_with_its_own_bound_is_not_touched_by_the_common_one(measured, profile):
    rows = study(measured, profile, LANG_ID, Bounds(above=1.0)).collect()
    changed = rows.filter(pl.col("kept") != pl.col("would_keep"))
    assert set(changed["lang"]) == {"en", "ja"}


def test_a_cutoff_for_one_language_leaves_the_others_as_they_are(measured, profile):
    rows = study(measured, profile, PERPLEXITY, Bounds(below=200), "en").collect()
    assert set(rows.filter(pl.col("kept") != pl.col("would_keep"))["lang"]) == {"en"}


def test_a_rule_that_is_not_enforced_is_tried_as_if_it_were(measured, profile):
    rows = study(measured, profile, Rule.STOPWORDS.value, Bounds(at_least=0.5)).collect()
    assert rows["kept"].any() and not rows["would_keep"].any()


def test_what_could_not_be_judged_passes_every_bound(measured, profile):
    rows = study(measured, profile, PERPLEXITY, Bounds(below=0)).collect()
    assert rows.filter(pl.col("value").is_null())["would_pass"].all()
    assert not rows.filter(pl.col("value").is_not_null())["would_pass"].any()


def test_a_ledger_without_languages_is_judged_by_the_common_bounds(measured, profile):
    ledger = ledger_of(measured, profile)
    in_force = ProfileInForce.of(profile.model_dump(mode="json"))
    new = new_bounds(in_force, LANG_ID, Bounds(above=0.95), None)
    rows = judged(ledger.drop("lang"), LANG_ID, rules(ledger), in_force, new).collect()
    assert rows["lang"].unique().to_list() == [ANY]
    assert rows.filter("would_pass")["value"].min() > 0.95


@pytest.mark.parametrize(
    ("bounds", "values"),
    [
        ({"above": 1}, [False, False, True, True]),
        ({"at_least": 1}, [False, True, True, True]),
        ({"below": 2}, [True, True, False, True]),
        ({"at_least": 1, "at_most": 1}, [False, True, False, True]),
        ({}, [True, True, True, True]),
    ],
)
def test_bounds_hold_as_their_names_say(bounds, values):
    frame = pl.DataFrame({"value": [0.0, 1.0, 2.0, None]})
    assert frame.with_columns(holds=within(pl.col("value"), Bounds(**bounds)))["holds"].to_list() == values


def test_every_document_is_counted_once_whatever_the_axis(measured, profile):
    rows = study(measured, profile, PERPLEXITY, Bounds(below=500))
    for log in (True, False):
        axis = axis_over(100, 5075, [500, 3000], bins=20, log=log)
        counted = tally(rows, axis).collect()
        assert counted["documents"].sum() == measured.height
        assert counted["chars"].sum() == 100 * measured.height
        assert (
            counted.filter(pl.col("bin").is_null())["documents"].sum() == measured["perplexity"].null_count()
        )


@pytest.mark.parametrize("log", [True, False])
def test_a_value_lies_between_the_edges_of_its_bin(log):
    axis = axis_over(3, 900, [1400], bins=7, log=log)
    edges = axis.edges()
    assert edges[0] == pytest.approx(3) and edges[-1] == pytest.approx(1400)
    values = [3.0, 17.5, 444.0, 899.0, 1400.0]
    places = pl.DataFrame({"v": values}).select(axis.bin_of(pl.col("v"))).to_series()
    for value, place in zip(values, places, strict=True):
        assert edges[place] * 0.999 <= value <= edges[place + 1] * 1.001


def test_zero_has_a_place_on_a_logarithmic_axis():
    axis = axis_over(0, 0, [], bins=4, log=True)
    assert axis.low > 0
    assert pl.DataFrame({"v": [0.0]}).select(axis.bin_of(pl.col("v"))).item() == 0


def test_the_table_by_language_adds_up_and_estimates_tokens(measured, profile):
    rows = study(measured, profile, PERPLEXITY, Bounds(below=500))
    ratios = {"zh": 3.0, "en": 1.0, ANY: 2.0}
    table = by_language(tally(rows, axis_over(100, 5000, [], bins=10, log=True)).collect(), ratios, 3)
    whole = rows.collect()
    assert table["all"].sum() == whole.height
    assert table["would_drop"].sum() == whole.filter(pl.col("kept") & ~pl.col("would_keep")).height
    tokens = dict(table.select("lang", "all_tokens").iter_rows())
    counts = dict(table.select("lang", "all").iter_rows())
    assert tokens["zh"] == counts["zh"] * 100
    assert tokens["ja"] == round(counts["ja"] * 200 / 3)


def test_bytes_per_character_are_those_of_utf8():
    frame = pl.DataFrame({"lang": ["zh", "en", "en", "fr"], "text": ["中文", "abc", "d", ""]})
    assert bytes_per_character(frame) == {"zh": 3.0, "en": 1.0, ANY: 10 / 6}


def test_the_summary_names_the_largest_language_first_and_counts_what_was_judged(measured, profile):
    found = summary(study(measured, profile, PERPLEXITY, None), [0.5])
    assert found["documents"].to_list() == sorted(found["documents"], reverse=True)
    row = found.row(by_predicate=pl.col("lang") == "ja", named=True)
    assert (row["judged"], row["q0.5"]) == (0, None)


def test_the_sample_is_the_same_in_any_order_of_rows(measured, profile):
    rows = study(measured, profile, PERPLEXITY, Bounds(below=500)).collect()
    chosen = pl.col("kept") & ~pl.col("would_keep")
    first = sampled(rows.lazy(), chosen, 5).collect()
    assert first.equals(sampled(rows.reverse().lazy(), chosen, 5).collect())
    assert first.height == 5 and first.filter(chosen).height == 5

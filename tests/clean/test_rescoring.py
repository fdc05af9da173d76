"""Scores are counted and drawn the same however the documents were divided."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.clean.profiles import Bounds
from phoenix_assets.clean.rescoring import SCORED, added, drawn, scored, tally_scores
from phoenix_assets.clean.threshold_study import Axis

AXIS = Axis(0, 1, 10)
SCORES = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=40)


def rows(scores, bounds=None):
    judged = pl.DataFrame(
        {
            "doc_id": [f"{n * 7919 % 1000:032x}" for n in range(len(scores))],
            "source": "cc",
            "delivery": "d",
            "lang": "zh",
            "reason": [("a", "b")[n % 2] for n in range(len(scores))],
        }
    )
    return scored(judged, pl.Series(scores, dtype=pl.Float64), bounds or Bounds(at_least=0.7))


def test_what_has_no_score_is_never_chosen():
    table = rows([None, 0.7, 0.69])
    assert table.schema == SCORED
    assert table["chosen"].to_list() == [False, True, False]


@given(SCORES, st.integers(0, 40))
def test_parts_add_up_to_the_whole(scores, cut):
    table = rows(scores)
    parts = [tally_scores(part, AXIS) for part in (table[:cut], table[cut:])]
    whole = added([tally_scores(table, AXIS)])
    assert added(parts).equals(whole)
    assert whole["documents"].sum() == len(scores)


@given(SCORES, st.integers(0, 40))
def test_the_draw_is_the_same_however_documents_come_in(scores, cut):
    table = rows(scores)
    one_by_one = drawn(drawn(table[cut:], count=3), table[:cut], count=3)
    assert one_by_one.equals(drawn(table, count=3))
    assert one_by_one["chosen"].all()


def test_both_bounds_choose_what_lies_between():
    assert rows([0.1, 0.3, 0.5], Bounds(at_least=0.2, at_most=0.4))["chosen"].to_list() == [
        False,
        True,
        False,
    ]

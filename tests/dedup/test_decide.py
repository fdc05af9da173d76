"""Who is kept: preference, order independence, and decisions that stay."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.decide import CANDIDATE, decide
from phoenix_assets.errors import ConservationError

DAY = date(2026, 1, 1)


def candidate(doc_id: str, **known: object) -> dict[str, object]:
    values = {
        "source_rank": 0,
        "received": DAY,
        "delivery": "d1",
        "already_kept": None,
        "earlier_duplicate_of": None,
        "cluster": 0,
    }
    return {"doc_id": doc_id, **values, **known}


def survivors(*documents: dict[str, object]) -> dict[str, str | None]:
    choices = decide(pl.DataFrame(documents, schema=CANDIDATE))
    assert choices["kept"].to_list() == choices["duplicate_of"].is_null().to_list()
    return dict(choices.select("doc_id", "duplicate_of").iter_rows())


def test_the_better_source_is_kept_although_it_came_later():
    web, wiki = candidate("a", source_rank=6), candidate("b", received=date(2026, 5, 5))
    assert survivors(web, wiki) == {"a": "b", "b": None}


def test_of_one_source_the_earlier_is_kept_then_the_delivery_then_the_id():
    assert survivors(candidate("a"), candidate("b", received=date(2025, 1, 1))) == {"a": "b", "b": None}
    assert survivors(candidate("a", delivery="d2"), candidate("b")) == {"a": "b", "b": None}
    assert survivors(candidate("a"), candidate("b")) == {"a": None, "b": "a"}
    assert survivors(candidate("a", received=None), candidate("b")) == {"a": "b", "b": None}


def test_documents_of_different_clusters_are_all_kept():
    assert survivors(candidate("a"), candidate("b", cluster=1)) == {"a": None, "b": None}


def test_a_better_newcomer_does_not_displace_what_was_kept():
    kept = candidate("a", source_rank=6, already_kept=True)
    assert survivors(kept, candidate("b")) == {"a": None, "b": "a"}


def test_two_kept_documents_that_a_newcomer_bridges_both_stay():
    kept = [candidate("a", already_kept=True), candidate("b", source_rank=1, already_kept=True)]
    assert survivors(*kept, candidate("c")) == {"a": None, "b": None, "c": "a"}


def test_a_dropped_document_stays_behind_its_own_survivor_in_a_bridged_cluster():
    kept = [candidate("a", already_kept=True), candidate("b", source_rank=1, already_kept=True)]
    dropped = candidate("c", already_kept=False, earlier_duplicate_of="b")
    assert survivors(*kept, dropped) == {"a": None, "b": None, "c": "b"}


def test_a_dropped_document_returns_when_its_survivor_has_gone():
    orphan = candidate("a", already_kept=False, earlier_duplicate_of="erased")
    assert survivors(orphan) == {"a": None}
    assert survivors(orphan, candidate("b", source_rank=3)) == {"a": None, "b": "a"}


def test_a_document_that_comes_twice_is_refused():
    with pytest.raises(ConservationError, match="'a': two deliveries"):
        survivors(candidate("a"), candidate("a"))


def test_no_documents_give_no_choices():
    assert decide(pl.DataFrame(schema=CANDIDATE)).height == 0


documents = st.lists(
    st.builds(
        lambda rank, day, delivery, kept, cluster: {
            "source_rank": rank,
            "received": date(2026, 1, day),
            "delivery": delivery,
            "already_kept": kept,
            "earlier_duplicate_of": None,
            "cluster": cluster,
        },
        st.integers(0, 2),
        st.integers(1, 3),
        st.sampled_from("xy"),
        st.sampled_from([None, None, True]),
        st.integers(0, 3),
    ),
    max_size=20,
).map(lambda rows: [{"doc_id": f"{number:02}", **row} for number, row in enumerate(rows)])


@settings(deadline=None)
@given(documents, st.randoms(use_true_random=False))
def test_choices_do_not_depend_on_the_order_of_rows(rows, draw):
    shuffled = draw.sample(rows, len(rows))
    first, second = (decide(pl.DataFrame(part, schema=CANDIDATE)) for part in (rows, shuffled))
    assert first.equals(second)


@settings(deadline=None)
@given(documents)
def test_every_cluster_keeps_a_document_and_deciding_again_changes_nothing(rows):
    table = pl.DataFrame(rows, schema=CANDIDATE)
    choices = decide(table)
    clusters = table.join(choices, on="doc_id").group_by("cluster").agg(pl.col("kept").any())
    assert clusters["kept"].all()
    again = table.drop("already_kept", "earlier_duplicate_of").join(
        choices.select("doc_id", already_kept="kept", earlier_duplicate_of="duplicate_of"), on="doc_id"
    )
    assert decide(again.select(CANDIDATE.names())).equals(choices)

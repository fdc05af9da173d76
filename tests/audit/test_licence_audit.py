"""Licences that end: which, when, and what stands on them."""

from datetime import date, timedelta

import polars as pl
import pytest

from phoenix_assets.audit.licences import audit_licences
from phoenix_assets.audit.page import page_text
from phoenix_assets.audit.upstream_pages import licences_page
from resources.build import Build

TODAY = date(2026, 11, 25)


@pytest.fixture
def ending(corpus):
    """The corpus with the licence of its wiki delivery ending a month later."""
    stored = corpus.record("wiki/raw", "enwiki-20160501")
    [term] = stored.record.licences
    build = Build(corpus.lake, corpus.ledger, "wiki/raw", "enwiki-20160501", "register.2", {}, "", ())
    build.commit(
        (rows := corpus.lake.read(stored.as_input()).collect()).schema,
        [build.stage(rows)],
        counts=stored.record.counts,
        licences=(term.model_copy(update={"expires": "2026-12-25"}),),
    )
    return corpus


def test_a_licence_is_listed_from_the_day_on_from_which_it_ends_in_time(ending) -> None:
    def listed(days: int, today: date = TODAY) -> list[tuple[str, int]]:
        found = audit_licences(ending.lake, ending.ledger, today, timedelta(days=days), verified=False)
        return [(row["delivery"], row["days_left"]) for row in found["expiring"]]

    assert listed(29) == []
    assert listed(30) == [("enwiki-20160501", 30)]
    assert listed(0, date(2027, 1, 1)) == [("enwiki-20160501", -7)]  # it has ended


def test_what_stands_on_a_licence_is_counted_in_the_mixtures(ending) -> None:
    found = audit_licences(ending.lake, ending.ledger, TODAY, timedelta(days=90))
    [row] = found["expiring"]
    chosen = ending.lake.read(ending.record("mix/v3").as_input()).filter(source="wiki").collect()
    tokens = chosen.select((pl.col("copies") * pl.col("est_tokens")).sum()).item()
    assert row["mixtures"] == [{"mixture": "mix/v3", "documents": chosen.height, "estimated_tokens": tokens}]
    assert row["runs"] == [] and row["documents"] >= chosen.height
    assert found["verification"]["passed"]
    shown = page_text(licences_page(found))
    assert "the licences of 1 end until 2027-02-23." in shown and "CC-BY-SA-3.0" in shown

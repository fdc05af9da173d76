"""Rows are told apart by hashes that are read batch by batch; the counts are those of whole columns."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.conservation import document_hashes, repeated_rows, strangers

names = st.lists(st.sampled_from([f"{number:032x}" for number in range(40)]), max_size=60)


def rows(ids: list[str]) -> pl.LazyFrame:
    return pl.LazyFrame({"doc_id": ids}, schema={"doc_id": pl.String})


@settings(deadline=None)
@given(names)
def test_a_row_is_repeated_when_another_one_is_of_its_document(ids: list[str]) -> None:
    assert repeated_rows(rows(ids), len(ids)) == len(ids) - len(set(ids))


@settings(deadline=None)
@given(names, names)
def test_a_row_is_strange_when_its_document_is_not_known(ids: list[str], known: list[str]) -> None:
    found = strangers(rows(ids), document_hashes(rows(known), len(known)))
    assert found == sum(name not in set(known) for name in ids)

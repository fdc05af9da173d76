"""Where two versions of a table part."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.audit.row_difference import row_difference

ROWS = pl.DataFrame(
    {
        "doc_id": ["b", "a", "c"],
        "text": ["two", "one", "三"],
        "tags": [["x"], [], ["y", "z"]],
        "score": [0.5, None, 2.0],
    }
)


def parts(*frames: pl.DataFrame):
    return lambda: iter(frames)


def test_the_same_rows_in_another_order_and_other_files_do_not_differ() -> None:
    assert row_difference(parts(ROWS), parts(ROWS[2:], ROWS[:2].reverse())) is None


def test_the_first_differing_document_and_its_first_differing_column_are_named() -> None:
    other = ROWS.with_columns(
        text=pl.when(doc_id="b").then(pl.lit("zwei")).otherwise("text"),
        score=pl.when(pl.col("doc_id").is_in(["b", "c"])).then(9.0).otherwise("score"),
    )
    found = row_difference(parts(ROWS), parts(other))
    assert found is not None
    assert (found.rows, found.only_in_first, found.only_in_second) == (3, 2, 2)
    assert (found.key, found.column, found.values) == ("b", "text", ("'two'", "'zwei'"))


def test_a_row_that_only_one_version_has_is_named_without_a_column() -> None:
    found = row_difference(parts(ROWS), parts(ROWS.filter(pl.col("doc_id") != "c")))
    assert found is not None
    assert (found.only_in_first, found.only_in_second, found.key, found.column) == (1, 0, "c", "")
    assert "the first is c" in found.described()


def test_a_row_that_is_there_twice_differs_from_one_that_is_there_once() -> None:
    found = row_difference(parts(ROWS), parts(ROWS, ROWS[:1]))
    assert found is not None
    assert (found.only_in_first, found.only_in_second, found.key) == (0, 1, "b")


def test_a_column_that_is_new_is_a_difference() -> None:
    found = row_difference(parts(ROWS), parts(ROWS.with_columns(lang=pl.lit("zh"))))
    assert found is not None
    assert (found.only_in_first, found.column) == (3, "lang")


def test_nothing_beside_nothing_does_not_differ() -> None:
    assert row_difference(parts(), parts(ROWS[:0])) is None
    assert row_difference(parts(), parts(ROWS)) is not None


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2))),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2))),
)
def test_versions_differ_exactly_when_their_rows_do(one, other) -> None:
    frames = [
        pl.DataFrame(rows, schema={"doc_id": pl.String, "value": pl.Int64}, orient="row")
        for rows in (one, other)
    ]
    found = row_difference(parts(frames[0]), parts(frames[1]))
    assert (found is None) == (sorted(one) == sorted(other))

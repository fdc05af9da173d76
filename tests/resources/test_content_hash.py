"""The content hash: blind to order and to the cut into shards, sensitive to everything else."""

import datetime
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from phoenix_assets.content_hash import ContentHash, content_hash

SCHEMA = pl.Schema(
    {
        "text": pl.String,
        "score": pl.Float64,
        "count": pl.Int64,
        "kept": pl.Boolean,
        "payload": pl.Binary,
        "names": pl.List(pl.String),
        "values": pl.List(pl.Float64),
        "conds": pl.List(pl.Boolean),
    }
)
TEXT = st.text(alphabet=st.one_of(st.sampled_from(",\\:~0123 "), st.characters(exclude_categories=["Cs"])))
FLOAT = st.floats(allow_nan=False, width=64)
ROW = st.tuples(
    st.none() | TEXT,
    st.none() | FLOAT,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
    st.none() | st.binary(max_size=8),
    st.none() | st.lists(st.none() | TEXT, max_size=4),
    st.none() | st.lists(st.none() | FLOAT, max_size=3),
    st.none() | st.lists(st.none() | st.booleans(), max_size=3),
)
ROWS = st.lists(ROW, max_size=8)


def frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, random=st.randoms())
def test_the_order_of_rows_does_not_count(rows, random) -> None:
    shuffled = random.sample(rows, len(rows))
    assert content_hash(frame(rows)) == content_hash(frame(shuffled))


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, cuts=st.lists(st.integers(0, 8), max_size=3))
def test_shards_hashed_apart_add_up_to_the_whole(rows, cuts) -> None:
    places = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [rows[start:end] for start, end in pairwise(places)]
    assert sum((content_hash(frame(part)) for part in parts), ContentHash()) == content_hash(frame(rows))


@settings(max_examples=200, deadline=None)
@given(one=ROW, other=ROW)
def test_rows_that_differ_anywhere_hash_differently(one, other) -> None:
    assume(repr(one) != repr(other))  # -0.0 and 0.0 are two values here
    assert content_hash(frame([one])) != content_hash(frame([other]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([], [""]), ([], None), ([None], ["~"]), (["a,b"], ["a", "b"]), (["a\\", "b"], ["a\\,b"]),
        (["1:a"], ["", "a"]), (["", ""], [""]),
    ],
)  # fmt: skip
def test_lists_that_look_alike_when_written_out_hash_differently(one, other) -> None:
    schema = {"names": pl.List(pl.String)}
    hashes = [content_hash(pl.DataFrame({"names": [value]}, schema=schema)) for value in (one, other)]
    assert hashes[0] != hashes[1]


def test_a_value_that_moves_to_the_next_column_changes_the_hash() -> None:
    columns = {"a": pl.String, "b": pl.String}
    one = pl.DataFrame([("x", None)], schema=columns, orient="row")
    other = pl.DataFrame([(None, "x")], schema=columns, orient="row")
    joined = pl.DataFrame([("x1:y", "")], schema=columns, orient="row")
    assert len({content_hash(part) for part in (one, other, joined)}) == 3


def test_a_row_that_comes_twice_is_not_a_row_that_comes_once() -> None:
    once = pl.DataFrame({"a": ["x"]})
    assert content_hash(pl.concat([once, once])) != content_hash(once)
    assert content_hash(pl.concat([once, once])).data_version.endswith("00000002")


def test_column_names_and_their_order_count() -> None:
    table = pl.DataFrame({"a": ["x"], "b": ["x"]})
    versions = {
        content_hash(part).data_version for part in (table, table.rename({"a": "c"}), table[["b", "a"]])
    }
    assert len(versions) == 3


def test_nothing_is_told_from_something_and_a_date_is_a_value() -> None:
    assert content_hash(pl.DataFrame(schema=SCHEMA)) == ContentHash()
    days = pl.DataFrame({"d": [datetime.date(2024, 6, 1), datetime.date(2024, 6, 2)]})
    assert content_hash(days[:1]) != content_hash(days[1:])


def test_the_hash_of_a_known_table_stays_what_it_is() -> None:
    known = pl.DataFrame(
        {"doc_id": ["a", None], "n": [1, -1], "f": [0.5, None], "l": [["x", ""], []], "b": [b"\xff", b""]}
    )
    assert content_hash(known).data_version == "964ca3a2a5b88cb40fffe842765b4e5800000002"

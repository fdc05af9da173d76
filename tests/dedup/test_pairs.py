"""Pairs to look at: from the whole range of similarities, of the largest clusters, and the same ones each time."""

import polars as pl
import pytest

from phoenix_assets.dedup.pairs import least_alike_of_largest, similarities, spread_over_similarity
from phoenix_assets.schema import document_id


@pytest.fixture(scope="module")
def dropped() -> pl.DataFrame:
    """A thousand documents, nine in ten of them at one similarity."""
    rows = [
        (
            document_id("cc", "d", str(number)),
            0.98 if number % 10 else 0.75 + number / 5000,
            f"{number % 7}",
            number % 7,
        )
        for number in range(1000)
    ]
    schema = {"doc_id": pl.String, "similarity": pl.Float64, "cluster": pl.String, "copies": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_pairs_come_from_the_whole_range_though_most_are_alike(dropped):
    chosen = spread_over_similarity(dropped, 10)["similarity"]
    assert chosen.is_sorted() and len(chosen) == 10
    assert chosen[0] < 0.78 and chosen[-1] == 0.98
    assert (chosen == 0.98).sum() == 1


def test_the_order_of_rows_does_not_change_which_are_chosen(dropped):
    shuffled = dropped.sample(fraction=1, shuffle=True, seed=1)
    for choose in (spread_over_similarity, least_alike_of_largest):
        assert choose(shuffled, 5).equals(choose(dropped, 5))


def test_fewer_rows_than_asked_for_are_all_chosen(dropped):
    assert spread_over_similarity(dropped.head(3), 10).height == 3
    assert spread_over_similarity(dropped.filter(similarity=0.98).head(3), 10).height == 3
    assert spread_over_similarity(dropped.clear(), 10).height == 0


def test_of_the_largest_clusters_the_pair_that_differs_most_is_chosen(dropped):
    chosen = least_alike_of_largest(dropped, 3)
    assert chosen["copies"].to_list() == [6, 5, 4]
    least = dropped.group_by("cluster").agg(pl.col("similarity").min())
    assert chosen.join(least, on=["cluster", "similarity"]).height == 3


def test_similarities_are_counted_in_ranges_that_begin_at_their_name():
    rows = pl.DataFrame({"similarity": [1.0, 0.99, 0.95, 0.9]})
    assert similarities(rows, 0.05) == {"1.00": 1, "0.95": 2, "0.90": 1}
    assert similarities(rows, 0.025) == {"1.000": 1, "0.975": 1, "0.950": 1, "0.925": 0, "0.900": 1}
    assert similarities(rows.clear(), 0.05) == {}

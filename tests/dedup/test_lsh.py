"""Edges and components: recall, precision, cost and independence of order."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.dedup.components import components
from phoenix_assets.dedup.lsh import band_keys, edges
from phoenix_assets.dedup.minhash import signatures
from phoenix_assets.dedup.shingles import shingle_hashes

BANDING = {"bands": 14, "rows": 8, "threshold": 0.75, "compared": 32}


def labels_of(values: np.ndarray, **banding) -> np.ndarray:
    found = edges(values, **{**BANDING, **banding})
    return components(len(values), found["a"].to_numpy(), found["b"].to_numpy())


@pytest.fixture(scope="module")
def mixed(edited_pairs) -> pl.Series:
    return pl.concat([edited_pairs["text"], edited_pairs["other"].alias("text")])


@pytest.fixture(scope="module")
def all_pairs_jaccard(mixed, signature_config) -> np.ndarray:
    values, ends = shingle_hashes(mixed, signature_config.shingle)
    sets = [set(values[ends[row] : ends[row + 1]].tolist()) for row in range(len(mixed))]
    jaccard = np.zeros((len(sets), len(sets)))
    for row, left in enumerate(sets):
        for column in range(row + 1, len(sets)):
            shared = len(left & sets[column])
            jaccard[row, column] = shared / (len(left) + len(sets[column]) - shared)
    return jaccard


def test_near_duplicates_are_found_and_unlike_documents_are_not(mixed, all_pairs_jaccard, signature_config):
    values = signatures(mixed, signature_config)
    labels = labels_of(values)
    together = labels[:, None] == labels[None, :]
    alike = all_pairs_jaccard >= 0.8
    assert alike.sum() > 150
    assert together[alike].mean() > 0.95
    assert together[all_pairs_jaccard >= 0.9].mean() > 0.99
    found = edges(values, **BANDING)
    joined = all_pairs_jaccard[found["a"].to_numpy(), found["b"].to_numpy()]
    assert joined.min() > 0.75 - 4 * np.sqrt(0.75 * 0.25 / 112)
    assert (joined > 0.7).mean() > 0.95


def test_components_equal_those_of_all_pairs_compared_at_once(mixed, signature_config):
    values = signatures(mixed, signature_config)
    keys = band_keys(values, 14, 8)
    candidates = (keys[:, None, :] == keys[None, :, :]).any(axis=2)
    alike = np.stack([(values == row).mean(axis=1) for row in values]) >= 0.75
    a, b = np.nonzero(candidates & alike)
    assert (labels_of(values) == components(len(values), a, b)).all()


def test_edges_are_fewer_than_documents_and_reach_the_threshold(mixed, signature_config):
    found = edges(signatures(mixed, signature_config), **BANDING)
    assert 0 < found.height < len(mixed)
    assert (found["a"] < found["b"]).all()
    assert found["similarity"].min() >= 0.75


def test_a_shared_bucket_alone_joins_nothing():
    values = np.random.default_rng(1).integers(0, 2**32, (50, 112), dtype=np.uint32)
    values[:, :8] = 5
    assert edges(values, **BANDING).height == 0


def test_members_unlike_the_first_of_their_bucket_still_meet_each_other():
    values = np.random.default_rng(1).integers(0, 2**32, (3, 112), dtype=np.uint32)
    values[:, :8] = 5
    values[2, :100] = values[1, :100]
    assert edges(values, **BANDING).rows() == [(1, 2, 100 / 112)]


def test_the_order_of_documents_does_not_change_who_is_together(mixed, signature_config):
    values = signatures(mixed, signature_config)
    order = np.random.default_rng(3).permutation(len(values))
    before = labels_of(values)
    after = labels_of(values[order])
    pairs = {(label, other) for label, other in zip(before[order].tolist(), after.tolist(), strict=True)}
    assert len(pairs) == len(set(before.tolist())) == len(set(after.tolist()))


def test_two_hundred_thousand_copies_make_one_cluster_of_a_star(signature_config):
    one = signatures(pl.Series(["the same page again and again and again"]), signature_config)
    found = edges(np.repeat(one, 200_000, axis=0), **BANDING)
    assert found.height == 199_999
    assert found["a"].unique().to_list() == [0]


def test_a_bucket_of_boilerplate_is_compared_in_bounds():
    values = np.random.default_rng(1).integers(0, 2**32, (50_000, 112), dtype=np.uint32)
    values[:, :80] = np.arange(80)
    assert edges(values, **BANDING).height == 0


def test_documents_without_text_are_not_joined(signature_config):
    assert edges(signatures(pl.Series(["", "…", ""]), signature_config), **BANDING).height == 0


def test_no_documents_have_no_edges(signature_config):
    assert edges(signatures(pl.Series([], dtype=pl.String), signature_config), **BANDING).height == 0


def test_bands_that_do_not_fit_are_refused(signature_config):
    with pytest.raises(ValueError, match="15 bands x 8 rows do not fit signatures of 112"):
        band_keys(signatures(pl.Series(["a"]), signature_config), 15, 8)


ends_of_edges = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40)


@given(ends_of_edges)
def test_components_are_the_smallest_rows_reachable(pairs):
    a, b = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    expected = list(range(30))
    for _ in range(30):
        for left, right in pairs:
            expected[left] = expected[right] = min(expected[left], expected[right])
    assert components(30, a, b).tolist() == expected


@given(ends_of_edges, st.randoms(use_true_random=False))
def test_components_depend_on_neither_order_nor_direction_of_edges(pairs, draw):
    shuffled = [pair if draw.random() < 0.5 else pair[::-1] for pair in draw.sample(pairs, len(pairs))]
    first, second = (
        components(30, *(np.array([pair[side] for pair in edge], np.int64) for side in (0, 1)))
        for edge in (pairs, shuffled)
    )
    assert (first == second).all()


def test_an_edge_out_of_the_rows_is_refused():
    with pytest.raises(ValueError, match="leads to row 3"):
        components(3, np.array([0]), np.array([3]))

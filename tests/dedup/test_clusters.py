"""Clusters are connected components of what stands behind what, and of the bridges between survivors."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.dedup.clusters import cluster_sizes, clusters
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.lsh import band_keys
from phoenix_assets.dedup.segments import Block

NO_BRIDGES = np.empty((0, 2), np.int64)


def decided(survivors: list[int]) -> pl.DataFrame:
    """Return decisions on documents 0, 1, …, each of which stands behind the number given for it."""
    numbers = range(len(survivors))
    return pl.DataFrame(
        {
            "number": numbers,
            "doc_id": [str(number) for number in numbers],
            "duplicate_of": [
                None if behind == number else str(behind) for number, behind in enumerate(survivors)
            ],
        },
        schema={"number": pl.Int64, "doc_id": pl.String, "duplicate_of": pl.String},
    )


def test_a_cluster_is_a_survivor_with_what_stands_behind_it():
    found = clusters(decided([0, 0, 2, 0, 4, 4]), NO_BRIDGES)
    assert found.rows() == [("0", "0", 3), ("4", "4", 2)]
    assert cluster_sizes(found) == {"2 copies": 1, "3 copies": 1}


def test_bridged_survivors_are_one_cluster_counted_once():
    found = clusters(decided([0, 1, 0, 1, 1, 5, 6]), np.array([[0, 1], [0, 1], [1, 5]]))
    assert found.rows() == [("0", "0", 6), ("1", "0", 6), ("5", "0", 6)]
    assert cluster_sizes(found) == {"2 copies": 0, "3 copies": 0, "4 copies": 0, "5–8 copies": 1}


def test_a_bridge_to_a_document_that_is_gone_joins_nothing():
    rows = decided([0, 1, 2, 0]).filter(pl.col("number") != 1)
    assert clusters(rows, np.array([[0, 1], [1, 2]])).rows() == [("0", "0", 2)]


def test_without_duplicates_there_are_no_clusters():
    found = clusters(decided([0, 1]), NO_BRIDGES)
    assert found.height == 0 and cluster_sizes(found) == {}


@st.composite
def indexes(draw) -> tuple[list[int], list[tuple[int, int]]]:
    """Survivors of documents, and bridges between survivors."""
    survivors: list[int] = []
    for number in range(draw(st.integers(1, 15))):
        kept = [one for one, behind in enumerate(survivors) if one == behind]
        survivors.append(draw(st.sampled_from([number, *kept])))
    kept = [number for number, behind in enumerate(survivors) if number == behind]
    return survivors, draw(st.lists(st.tuples(st.sampled_from(kept), st.sampled_from(kept)), max_size=5))


@given(indexes())
def test_clusters_are_the_connected_components(index):
    survivors, bridges = index
    labels = list(range(len(survivors)))
    for _ in survivors:  # until nothing changes
        for one, other in [*enumerate(survivors), *bridges]:
            labels[one] = labels[other] = min(labels[one], labels[other])
    expected = [
        (str(number), str(labels[number]), labels.count(labels[number]))
        for number, behind in enumerate(survivors)
        if number == behind and labels.count(labels[number]) > 1
    ]
    found = clusters(decided(survivors), np.array(bridges, np.int64).reshape(-1, 2))
    assert found.rows() == sorted(expected)


def test_a_bridge_goes_with_the_document_that_made_it(tmp_path, group):
    draw = np.random.default_rng(0)
    left, right = draw.integers(0, 2**32 - 1, (2, 112), np.uint32)
    prints = np.stack([left, right, np.concatenate([left[:56], right[56:]])])
    index = Index(tmp_path, group.bands, 50, group.compared, 1000)
    index.add(
        [
            Block(
                ids=np.arange(6, dtype=np.uint64).view(np.uint8).reshape(3, 16),
                deliveries=np.zeros(3, np.int32),
                prints=prints,
                keys=band_keys(prints, group.bands, group.rows).T.copy(),
            )
        ]
    )
    assert index.bridges.tolist() == [[0, 1, 2]]
    index.take_out(np.array([2]))
    assert index.bridges.tolist() == []

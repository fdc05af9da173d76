"""The index of a dedup group: whole and by deliveries, against a comparison of every pair."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.granularity import Granularity, bands, block, least
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.lsh import band_keys
from phoenix_assets.dedup.minhash import signatures, to_binary
from phoenix_assets.dedup.segments import Block

NEAR = Granularity.NEAR


@pytest.fixture
def new_index(tmp_path, group, signature_config):
    def make(name: str = "index", segment_documents: int = 1000) -> Index:
        return Index(
            tmp_path / name, bands(NEAR, group), least(NEAR, group, signature_config), group.compared,
            segment_documents, threads=2,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def collection(edited_pairs, signature_config) -> pl.DataFrame:
    texts = pl.concat([edited_pairs["text"], edited_pairs["other"].alias("text")])
    return pl.DataFrame(
        {
            "doc_id": [f"{number:032x}" for number in range(len(texts))],
            "lang": "zh",
            "delivery_number": 0,
            "quality": 0.0,
            "print": to_binary(signatures(texts, signature_config)),
        }
    ).sample(fraction=1, shuffle=True, seed=3)


@pytest.fixture(scope="module")
def as_block(group, signature_config):
    return lambda documents: block(documents, NEAR, group, signature_config)


def in_pieces(documents: pl.DataFrame, sizes: Sequence[int]) -> list[pl.DataFrame]:
    pieces, start = [], 0
    for size in [*sizes, documents.height]:
        pieces.append(documents.slice(start, size))
        start += size
    return pieces


def decisions(index: Index) -> pl.DataFrame:
    return index.decisions(index.numbers_of([0])).select("doc_id", "kept", "duplicate_of")


def kept_by_comparing_all_pairs(one: Block, least: int) -> list[bool]:
    """Return whether nothing before a document is alike, among those that share a key with it."""
    share_a_key = (one.keys[:, :, None] == one.keys[:, None, :]).any(axis=0)
    alike = (one.prints[:, None, :] == one.prints[None, :, :]).sum(axis=2) >= least
    return [not (alike & share_a_key)[row, :row].any() for row in range(len(one))]


def test_a_document_is_kept_when_nothing_before_it_is_alike(
    new_index, collection, as_block, group, signature_config
):
    index = new_index()
    whole = as_block(collection)
    index.add([whole])
    expected = kept_by_comparing_all_pairs(whole, least(NEAR, group, signature_config))
    assert decisions(index)["kept"].to_list() == expected
    assert 0 < sum(expected) < len(expected)


@pytest.mark.parametrize("sizes", [[], [1], [100, 3, 250], [7] * 40])
def test_decisions_do_not_depend_on_how_documents_come(new_index, collection, as_block, sizes):
    whole, parts = new_index("whole"), new_index("parts")
    whole.add([as_block(collection)])
    for piece in in_pieces(collection, sizes):
        parts.add([as_block(piece)])
    assert decisions(parts).equals(decisions(whole))


def test_a_duplicate_stands_behind_something_that_is_kept_and_says_how_alike_it_is(
    new_index, collection, as_block
):
    index = new_index()
    index.add([as_block(collection)])
    decided = index.decisions(index.numbers_of([0]))
    dropped = decided.filter(~pl.col("kept"))
    assert (
        dropped.join(decided.filter("kept"), left_on="duplicate_of", right_on="doc_id").height
        == dropped.height
    )
    direct = dropped.drop_nulls("band")
    assert direct.height > 0.9 * dropped.height
    assert (direct["similarity"] > 0.5).all()


@given(removed=st.lists(st.integers(0, 59), unique=True, max_size=40), size=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_taking_documents_out_and_deciding_their_orphans_is_as_if_they_had_never_come(
    tmp_path_factory, edited_pairs, group, signature_config, removed, size
):
    texts = pl.concat([edited_pairs["text"][:30], edited_pairs["other"][:30].alias("text")])
    rows = pl.DataFrame(
        {
            "doc_id": [f"{number:032x}" for number in range(60)],
            "lang": "zh",
            "delivery_number": 0,
            "quality": 0.0,
            "print": to_binary(signatures(texts, signature_config)),
        }
    )
    index, never = (
        Index(tmp_path_factory.mktemp("index"), 14, least(NEAR, group, signature_config), 32, 50)
        for _ in range(2)
    )
    for piece in rows.iter_slices(size):
        index.add([block(piece, NEAR, group, signature_config)])
    orphans = index.take_out(np.array(sorted(removed), np.int64))
    again = rows.join(orphans, on="doc_id", how="semi", maintain_order="left")
    index.add([block(again, NEAR, group, signature_config)] if again.height else [])
    never.add([block(rows.filter(~pl.int_range(60).is_in(removed)), NEAR, group, signature_config)])
    assert decisions(index).sort("doc_id").equals(decisions(never).sort("doc_id"))


def test_a_million_copies_take_one_look_each(new_index, as_block, collection):
    one = as_block(collection[:1])
    count = 200_000
    copies = Block(
        ids=np.arange(2 * count, dtype=np.uint64).view(np.uint8).reshape(count, 16),
        deliveries=np.zeros(count, np.int32),
        quality=np.zeros(count),
        prints=np.repeat(one.prints, count, axis=0),
        keys=np.repeat(one.keys, count, axis=1),
    )
    index = new_index()
    index.add([copies])
    assert index.duplicates == count - 1


def test_documents_without_any_text_are_duplicates_of_nothing(new_index, as_block, signature_config):
    empty = pl.DataFrame(
        {
            "doc_id": ["0" * 32, "1" * 32],
            "lang": "zh",
            "delivery_number": 0,
            "quality": None,
            "print": to_binary(signatures(pl.Series(["", "…"]), signature_config)),
        },
        schema_overrides={"quality": pl.Float64},
    )
    index = new_index()
    for row in (empty[:1], empty[1:]):
        index.add([as_block(row)])
    assert decisions(index)["kept"].to_list() == [True, True]


def test_two_clusters_that_a_later_document_joins_keep_their_survivors_and_are_bridged(new_index, group):
    draw = np.random.default_rng(0)
    left, right = draw.integers(0, 2**32 - 1, (2, 112), np.uint32)
    prints = np.stack([left, right, np.concatenate([left[:56], right[56:]])])
    index = new_index()
    index.least = 50
    index.add(
        [
            Block(
                ids=np.arange(6, dtype=np.uint64).view(np.uint8).reshape(3, 16),
                deliveries=np.zeros(3, np.int32),
                quality=np.zeros(3),
                prints=prints,
                keys=band_keys(prints, group.bands, group.rows).T.copy(),
            )
        ]
    )
    assert decisions(index)["kept"].to_list() == [True, True, False]
    assert index.bridges.tolist() == [[0, 1]]

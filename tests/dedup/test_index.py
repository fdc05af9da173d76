"""The index of a dedup group: whole and by deliveries, against a comparison of every pair."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.config import Granularity
from phoenix_assets.dedup.granularity import bands, block, least
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.lsh import band_keys
from phoenix_assets.dedup.minhash import signatures, to_binary
from phoenix_assets.dedup.segments import Block
from phoenix_assets.dedup.shingles import shingle_hashes

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
@settings(max_examples=12, deadline=None)
def test_taking_documents_out_and_deciding_their_orphans_is_as_if_they_had_never_come(
    tmp_path_factory, edited_pairs, group, signature_config, removed, size
):
    texts = pl.concat([edited_pairs["text"][:30], edited_pairs["other"][:30].alias("text")])
    rows = pl.DataFrame(
        {
            "doc_id": [f"{number:032x}" for number in range(60)],
            "lang": "zh",
            "delivery_number": 0,
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


def test_documents_without_any_text_are_duplicates_of_nothing(new_index, as_block, signature_config):
    empty = pl.DataFrame(
        {
            "doc_id": ["0" * 32, "1" * 32],
            "lang": "zh",
            "delivery_number": 0,
            "print": to_binary(signatures(pl.Series(["", "…"]), signature_config)),
        },
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
                prints=prints,
                keys=band_keys(prints, group.bands, group.rows).T.copy(),
            )
        ]
    )
    assert decisions(index)["kept"].to_list() == [True, True, False]
    assert index.bridges.tolist() == [[0, 1, 2]]


def numbered(prints: np.ndarray, group) -> Block:
    """Return prints as a block of documents with running ids."""
    count = len(prints)
    return Block(
        ids=np.arange(2 * count, dtype=np.uint64).view(np.uint8).reshape(count, 16),
        deliveries=np.zeros(count, np.int32),
        prints=prints,
        keys=band_keys(prints, group.bands, group.rows).T.copy(),
    )


def joined(count: int, pairs) -> list[int]:
    """Return the smallest number that each of `count` can be reached from over pairs."""
    parent = list(range(count))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for left, right in pairs:
        low, high = sorted((root(left), root(right)))
        parent[high] = low
    return [root(number) for number in range(count)]


def clusters(index: Index) -> np.ndarray:
    """Return the label of each document's cluster: survivors, and the bridges between them."""
    pairs = [
        *enumerate(index.gather("survivors", np.arange(index.size)).tolist()),
        *index.bridges[:, :2].tolist(),
    ]
    return np.array(joined(index.size, pairs))


@pytest.mark.parametrize(("like_the_survivor", "bridges"), [(False, []), (True, [[0, 1, 3]])])
def test_a_bridge_that_rested_on_a_document_that_leaves_goes_with_it(
    new_index, group, like_the_survivor, bridges
):
    left, right, other = np.random.default_rng(0).integers(0, 2**32 - 1, (3, 112), np.uint32)
    behind = right if like_the_survivor else np.concatenate([right[:64], other[64:]])
    between = np.concatenate([left[:56], behind[56:]])
    index = new_index()
    index.least = 50
    index.add([numbered(np.stack([left, right, behind, between]), group)])
    assert index.gather("survivors", np.arange(4)).tolist() == [0, 1, 1, 0]
    assert index.bridges.tolist() == [[0, 1, 3]]
    index.take_out(np.array([2]))
    assert index.bridges.tolist() == bridges


@given(seed=st.integers(0, 2**32), removed=st.lists(st.integers(0, 39), unique=True, max_size=20))
@settings(max_examples=25, deadline=None)
def test_clusters_without_the_documents_that_left_are_as_if_those_had_never_come(
    tmp_path_factory, group, seed, removed
):
    draw = np.random.default_rng(seed)
    seeds = draw.integers(0, 2**32 - 1, (4, 14), np.uint32)
    prints = np.repeat(seeds[draw.integers(0, 4, (40, 14)), np.arange(14)], 8, axis=1)  # a band, one of four
    stay = np.setdiff1d(np.arange(40), removed)
    index, never = (Index(tmp_path_factory.mktemp("index"), 14, 56, 64, 50) for _ in range(2))
    for piece in np.split(np.arange(40), [13, 29]):
        index.add([rows_of(prints, piece, group)])
    orphans = index.take_out(np.array(sorted(removed), np.int64))
    index.add([rows_of(prints, np.sort([int(one, 16) for one in orphans["doc_id"]]).astype(int), group)])
    never.add([rows_of(prints, stay, group)])
    assert members(index) == members(never)


def rows_of(prints: np.ndarray, rows: np.ndarray, group) -> Block:
    """Return some of the prints as a block of documents whose ids are their rows."""
    ids = np.zeros((len(rows), 16), np.uint8)
    ids[:, -1] = rows
    return replace(numbered(prints[rows], group), ids=ids)


def members(index: Index) -> set[frozenset[str]]:
    """Return the doc_ids of each cluster."""
    numbers = index.numbers_of([0])
    place = {number: at for at, number in enumerate(numbers.tolist())}
    behind = enumerate(place[one] for one in index.gather("survivors", numbers).tolist())
    bridges = ((place[first], place[second]) for first, second, _ in index.bridges.tolist())
    labels = joined(len(numbers), [*behind, *bridges])
    doc_ids = index.decisions(numbers)["doc_id"].to_list()
    return {
        frozenset(one for one, label in zip(doc_ids, labels, strict=True) if label == root)
        for root in set(labels)
    }


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


def test_near_duplicates_are_found_and_unlike_documents_are_not(
    new_index, mixed, all_pairs_jaccard, signature_config, group
):
    index = new_index()
    index.add([numbered(signatures(mixed, signature_config), group)])
    labels = clusters(index)
    together = labels[:, None] == labels[None, :]
    alike = all_pairs_jaccard >= 0.8
    assert alike.sum() > 150
    assert together[alike].mean() > 0.95
    assert together[all_pairs_jaccard >= 0.9].mean() > 0.99
    direct = index.decisions(index.numbers_of([0])).filter(pl.col("similarity") >= 0.75)
    assert (direct["survivor"] < direct["number"]).all()
    truth = all_pairs_jaccard[direct["survivor"].to_numpy(), direct["number"].to_numpy()]
    assert truth.min() > 0.75 - 4 * np.sqrt(0.75 * 0.25 / 112)
    assert (truth > 0.7).mean() > 0.95


def test_clusters_equal_those_of_all_pairs_compared_at_once(new_index, mixed, signature_config, group):
    values = signatures(mixed, signature_config)
    index = new_index()
    index.add([numbered(values, group)])
    keys = band_keys(values, 14, 8)
    candidates = (keys[:, None, :] == keys[None, :, :]).any(axis=2)
    alike = np.stack([(values == row).mean(axis=1) for row in values]) >= 0.75
    expected = joined(len(values), zip(*np.nonzero(candidates & alike), strict=True))
    assert clusters(index).tolist() == expected
    assert 0 < index.duplicates < len(mixed)


def test_the_order_of_documents_does_not_change_who_is_together(new_index, mixed, signature_config, group):
    values = signatures(mixed, signature_config)
    order = np.random.default_rng(3).permutation(len(values))
    first, second = new_index("first"), new_index("second")
    first.add([numbered(values, group)])
    second.add([numbered(values[order], group)])
    before, after = clusters(first), clusters(second)
    pairs = {(label, other) for label, other in zip(before[order].tolist(), after.tolist(), strict=True)}
    assert len(pairs) == len(set(before.tolist())) == len(set(after.tolist()))


def test_a_shared_key_alone_joins_nothing(new_index, group):
    values = np.random.default_rng(1).integers(0, 2**32, (50, 112), dtype=np.uint32)
    values[:, :8] = 5
    index = new_index()
    index.add([numbered(values, group)])
    assert index.duplicates == 0


def test_documents_unlike_the_first_with_their_key_still_meet_each_other(new_index, group):
    values = np.random.default_rng(1).integers(0, 2**32, (3, 112), dtype=np.uint32)
    values[:, :8] = 5
    values[2, :100] = values[1, :100]
    index = new_index()
    index.add([numbered(values, group)])
    decided = index.decisions(np.arange(3))
    assert decided["survivor"].to_list() == [0, 1, 1]
    assert decided["similarity"].to_list() == [None, None, 100 / 112]


def test_two_hundred_thousand_copies_stand_behind_the_first(new_index, signature_config, group):
    one = signatures(pl.Series(["the same page again and again and again"]), signature_config)
    index = new_index()
    index.add([numbered(np.repeat(one, 200_000, axis=0), group)])
    assert index.duplicates == 199_999
    assert not index.gather("survivors", np.arange(200_000)).any()


def test_boilerplate_that_many_share_is_compared_in_bounds(new_index, group):
    values = np.random.default_rng(1).integers(0, 2**32, (50_000, 112), dtype=np.uint32)
    values[:, :80] = np.arange(80)
    index = new_index()
    index.add([numbered(values, group)])
    assert index.duplicates == 0


def test_no_documents_make_no_segment(new_index, group):
    index = new_index()
    index.add([numbered(np.empty((0, 112), np.uint32), group)])
    assert (index.size, index.segments) == (0, [])


def test_the_documents_of_deliveries_are_found_in_every_segment(new_index, group):
    index = new_index()
    for seed in range(5):
        values = np.random.default_rng(seed).integers(0, 2**32, (7, 112), dtype=np.uint32)
        index.add([replace(numbered(values, group), deliveries=np.arange(7, dtype=np.int32) % 3)])
    found = {delivery: sorted(index.numbers_of([delivery]).tolist()) for delivery in range(4)}
    expected = {one: [n for n in range(35) if n % 7 % 3 == one] for one in range(3)} | {3: []}
    assert found == expected
    gathered: dict[int, list[int]] = {}
    for delivery, numbers in index.by_delivery([0, 1, 2, 3]):
        gathered.setdefault(delivery, []).extend(numbers.tolist())
    assert gathered == {one: expected[one] for one in range(3)}

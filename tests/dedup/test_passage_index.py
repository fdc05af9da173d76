"""The index of passages against a plain program that goes through documents in the order of their priority."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.passages import index as passage_index
from phoenix_assets.dedup.passages.prints import COUNT, HASH, LETTERS, PLACES, SAME, blocks, to_values

Document = list[int]  # its passages, each a number: the passage's hash, from which its letters follow
Corpus = dict[int, Document]


def letters(passage: int) -> int:
    return 40 + 7 * passage


@dataclass
class Plain:
    """What documents become, one after the other."""

    max_share: float
    holder: dict[int, int] = field(default_factory=dict)  # passage → document
    kept: dict[int, bool] = field(default_factory=dict)
    because_of: dict[int, list[int]] = field(
        default_factory=dict
    )  # places of duplicates of the documents that went
    corpus: Corpus = field(default_factory=dict)
    order: list[int] = field(default_factory=list)

    def add(self, documents: Corpus) -> None:
        for name, passages in documents.items():
            self.corpus[name] = passages
            self.order.append(name)
            fresh = self._fresh(name)
            seen = sum(letters(one) for one in passages) - sum(map(letters, fresh))
            self.kept[name] = seen <= self.max_share * sum(map(letters, passages))
            self.because_of[name] = self._duplicated(name)
            if self.kept[name]:
                self.holder |= dict.fromkeys(fresh, name)

    def take_out(self, names: set[int]) -> None:
        freed = {passage for passage, name in self.holder.items() if name in names}
        self.holder = {passage: name for passage, name in self.holder.items() if name not in names}
        self.order = [name for name in self.order if name not in names]
        anew = [
            name
            for name in self.order
            if not self.kept[name] and freed & {self.corpus[name][place] for place in self.because_of[name]}
        ]
        for name in self.order:
            if self.kept[name]:
                for passage in freed & set(self.corpus[name]):
                    self.holder.setdefault(passage, name)
        self.order = [name for name in self.order if name not in anew]
        self.add({name: self.corpus[name] for name in anew})

    def decided(self) -> dict[int, tuple[bool, list[int]]]:
        """Return whether each document is kept, and the places of its passages that are duplicates."""
        return {
            name: (self.kept[name], self._duplicated(name) if self.kept[name] else self.because_of[name])
            for name in self.order
        }

    def _duplicated(self, name: int) -> list[int]:
        passages = self.corpus[name]
        return [
            place
            for place, passage in enumerate(passages)
            if self.holder.get(passage, name) != name or passage in passages[:place]
        ]

    def _fresh(self, name: int) -> list[int]:
        return [one for one in dict.fromkeys(self.corpus[name]) if one not in self.holder]


def frame(documents: Corpus) -> pl.DataFrame:
    """Return documents as `candidates` yields them."""
    rows, heads = [], []
    for passages in documents.values():
        heads.append(len(rows))
        rows.append([0, 0, 0, 0, sum(map(letters, passages)), len(passages)])
        rows += [[one + 1, 0, 0, 7, letters(one), place + 1] for place, one in enumerate(passages)]
    values = to_values(np.array(rows, np.uint32).reshape(-1, PLACES), np.array(heads, np.int64))
    return pl.DataFrame(
        {"doc_id": [f"{name:032x}" for name in documents], "delivery_number": 0, "print": values},
        schema_overrides={"doc_id": pl.String, "delivery_number": pl.Int64},
    )


def new_index(folder, segment_documents: int = 40) -> Index:
    return Index(folder, passage_index.BANDS, SAME, passage_index.LOOKED_AT, segment_documents, threads=2)


def add(index: Index, documents: Corpus, max_share: float, block_passages: int = 12) -> None:
    frames = [frame(documents)] if documents else []
    passage_index.add(index, blocks(frames, block_passages), max_share=max_share)


def decided(index: Index) -> dict[int, tuple[bool, list[int]]]:
    rows = passage_index.decisions(index, index.numbers_of([0]))
    return {
        int(name, 16): (kept, places)
        for name, kept, places in rows.select("doc_id", "kept", "duplicated").iter_rows()
    }


def rows_of(index: Index, names: set[int]) -> np.ndarray:
    rows = index.numbers_of([0])
    ids = index.gather("ids", rows)
    return rows[[int.from_bytes(one.tobytes(), "big") in names for one in ids]] if len(rows) else rows


documents = st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=25).map(
    lambda found: dict(enumerate(found))
)
shares = st.sampled_from([0.0, 0.3, 0.5, 1.0])


@given(documents, shares, st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=8, deadline=None)
def test_every_document_is_decided_as_if_one_went_through_them_in_order(
    tmp_path_factory, corpus, max_share, block_passages, segment_documents
):
    index, plain = new_index(tmp_path_factory.mktemp("index"), segment_documents), Plain(max_share)
    add(index, corpus, max_share, block_passages)
    plain.add(corpus)
    assert decided(index) == plain.decided()


@given(documents, shares, st.integers(1, 24))
@settings(max_examples=5, deadline=None)
def test_deliveries_one_after_the_other_are_decided_as_all_at_once(tmp_path_factory, corpus, max_share, cut):
    whole, parts = (new_index(tmp_path_factory.mktemp("index")) for _ in range(2))
    add(whole, corpus, max_share)
    for names in (list(corpus)[:cut], list(corpus)[cut:]):
        add(parts, {name: corpus[name] for name in names}, max_share)
    assert decided(parts) == decided(whole)


@given(documents, shares, st.sets(st.integers(0, 24), max_size=12))
@settings(max_examples=12, deadline=None)
def test_what_leaves_gives_back_what_it_covered_and_takes_nothing_from_anybody(
    tmp_path_factory, corpus, max_share, leaving
):
    leaving &= set(corpus)
    index, plain = new_index(tmp_path_factory.mktemp("index")), Plain(max_share)
    add(index, corpus, max_share)
    plain.add(corpus)
    before = decided(index)
    revision = passage_index.take_out(index, rows_of(index, leaving), max_share=max_share)
    plain.take_out(leaving)
    after = decided(index)
    assert after == plain.decided()
    for name, (kept, places) in after.items():
        assert kept or not before[name][0], "what was kept is kept"
        assert set(places) <= set(before[name][1]) or not before[name][0], "what was held is held"
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {int(one, 16) for one in revision.decided["doc_id"]}


@given(documents, st.sets(st.integers(0, 24), max_size=12))
@settings(max_examples=8, deadline=None)
def test_without_a_bound_taking_documents_out_is_as_if_they_had_never_come(tmp_path_factory, corpus, leaving):
    index, never = (new_index(tmp_path_factory.mktemp("index")) for _ in range(2))
    add(index, corpus, 1.0)
    passage_index.take_out(index, rows_of(index, leaving & set(corpus)), max_share=1.0)
    add(never, {name: passages for name, passages in corpus.items() if name not in leaving}, 1.0)
    assert decided(index) == decided(never)


@given(documents, shares, st.integers(1, 24))
@settings(max_examples=5, deadline=None)
def test_taking_the_last_delivery_out_is_as_if_it_had_never_come(tmp_path_factory, corpus, max_share, cut):
    index, never = (new_index(tmp_path_factory.mktemp("index")) for _ in range(2))
    for names in (list(corpus)[:cut], list(corpus)[cut:]):
        add(index, {name: corpus[name] for name in names}, max_share)
    passage_index.take_out(index, rows_of(index, set(list(corpus)[cut:])), max_share=max_share)
    add(never, {name: corpus[name] for name in list(corpus)[:cut]}, max_share)
    assert decided(index) == decided(never)


@given(documents, shares, st.sets(st.integers(0, 24), max_size=8))
@settings(max_examples=5, deadline=None)
def test_each_removed_passage_stands_behind_one_that_is_there(tmp_path_factory, corpus, max_share, leaving):
    index = new_index(tmp_path_factory.mktemp("index"))
    add(index, corpus, max_share)
    passage_index.take_out(index, rows_of(index, leaving & set(corpus)), max_share=max_share)
    rows = passage_index.decisions(index, index.numbers_of([0]))
    kept = dict(rows.select("doc_id", "kept").iter_rows())
    duplicates = dict(rows.select("doc_id", "duplicated").iter_rows())
    for name, stays, places, holders, numbers in rows.select(
        "doc_id", "kept", "duplicated", "holder", "behind"
    ).iter_rows():
        for place, holder, number in zip(places, holders, numbers, strict=True):
            passage = corpus[int(name, 16)][place]
            there = [one for one in range(len(corpus[int(holder, 16)])) if one not in duplicates[holder]]
            assert holder == name or kept[holder]
            assert not stays or passage in [corpus[int(holder, 16)][one] for one in there]
            assert index.gather("prints", np.array([number]))[0, HASH][0] == passage + 1


def test_a_document_goes_beyond_the_share_and_stays_at_it(tmp_path):
    index = new_index(tmp_path)
    add(index, {1: [3], 2: [3, 3, 4]}, 0.5)
    assert decided(index)[2] == (False, [0, 1])
    other = new_index(tmp_path / "other")
    same_length = np.array([[0, 0, 0, 0, 100, 2], [1, 0, 0, 1, 50, 1], [2, 0, 0, 1, 50, 2]], np.uint32)
    values = to_values(np.concatenate([same_length[[0, 1]], same_length]), np.array([0, 2]))
    values_frame = frame({1: [], 2: []}).with_columns(values.alias("print"))
    passage_index.add(other, blocks([values_frame], 100), max_share=0.5)
    rows = passage_index.decisions(other, other.numbers_of([0]))
    assert rows.row(1, named=True)["similarity"] == 0.5
    assert rows["kept"].to_list() == [True, True]


def test_a_document_that_goes_holds_nothing_so_the_next_one_keeps_what_only_it_had(tmp_path):
    index = new_index(tmp_path)
    add(index, {1: [9], 2: [9, 1], 3: [1, 2]}, 0.3)
    assert decided(index) == {1: (True, []), 2: (False, [0]), 3: (True, [])}


def test_documents_that_went_name_the_one_that_has_most_of_them(tmp_path):
    index = new_index(tmp_path)
    add(index, {1: [1, 2], 2: [8], 3: [1, 2, 8]}, 0.3)
    row = passage_index.decisions(index, index.numbers_of([0])).row(2, named=True)
    assert row["duplicate_of"] == f"{1:032x}"
    assert row["holder"] == [f"{name:032x}" for name in (1, 1, 2)]
    assert row["similarity"] == pytest.approx(1.0)


def test_the_letters_and_the_count_of_a_document_are_in_its_head(tmp_path):
    index = new_index(tmp_path)
    add(index, {1: [1, 2], 2: []}, 0.3)
    heads = index.gather("prints", np.array([0, 3]))
    assert heads[:, [LETTERS, COUNT]].tolist() == [[letters(1) + letters(2), 2], [0, 0]]

"""The writer gives Megatron's own bytes; the reader notices files that are not whole."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.errors import LineageError
from phoenix_assets.tokens.indexed import IndexedWriter, read_indexed, token_dtype

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "megatron_indexed_dataset.json").read_text("utf-8")
)


def write(prefix: Path, documents: list[list[int]], vocab_size: int) -> None:
    with IndexedWriter(prefix, token_dtype(vocab_size)) as writer:
        for document in documents:
            ids = np.array(document, dtype=token_dtype(vocab_size))
            writer.add(ids, np.array([len(document)], dtype=np.int32))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["dtype"])
def test_both_files_have_the_bytes_that_megatron_writes(case: dict, tmp_path: Path):
    write(tmp_path / "shard", case["documents"], case["vocab_size"])
    assert (tmp_path / "shard.bin").read_bytes() == base64.b64decode(case["bin"])
    assert (tmp_path / "shard.idx").read_bytes() == base64.b64decode(case["idx"])


def test_documents_in_one_call_or_in_many_give_the_same_bytes(tmp_path: Path):
    documents = [[1, 2, 3], [4], [5, 6]]
    write(tmp_path / "many", documents, 300)
    with IndexedWriter(tmp_path / "one", token_dtype(300)) as writer:
        writer.add(np.array([1, 2, 3, 4, 5, 6], dtype=np.uint16), np.array([3, 1, 2], dtype=np.int32))
    for suffix in (".bin", ".idx"):
        assert (tmp_path / f"many{suffix}").read_bytes() == (tmp_path / f"one{suffix}").read_bytes()


@settings(max_examples=30, deadline=None)
@given(
    documents=st.lists(st.lists(st.integers(0, 65_499), max_size=20), max_size=10),
    vocab=st.sampled_from([65_499, 10**6]),
)
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[int]], vocab: int
):
    prefix = tmp_path_factory.mktemp("indexed") / "shard"
    write(prefix, documents, vocab)
    read = read_indexed(prefix)
    assert [read.document(position).tolist() for position in range(len(read.lengths))] == documents
    assert read.tokens.dtype == token_dtype(vocab)


def test_sixteen_bits_hold_vocabularies_below_megatrons_bound():
    assert token_dtype(65_499) == np.uint16
    assert token_dtype(65_500) == np.int32


def test_nothing_is_left_of_a_shard_that_failed(tmp_path: Path):
    with (
        pytest.raises(ValueError, match="lengths sum to 2"),
        IndexedWriter(tmp_path / "shard", token_dtype(9)) as writer,
    ):
        writer.add(np.array([1], dtype=np.uint16), np.array([2], dtype=np.int32))
    assert list(tmp_path.iterdir()) == []


def test_a_shard_has_no_index_before_it_is_closed(tmp_path: Path):
    writer = IndexedWriter(tmp_path / "shard", token_dtype(9))
    writer.add(np.array([1], dtype=np.uint16), np.array([1], dtype=np.int32))
    with pytest.raises(LineageError, match="no such token shard"):
        read_indexed(tmp_path / "shard")
    writer.close()
    assert len(read_indexed(tmp_path / "shard").tokens) == 1


@pytest.mark.parametrize("suffix", [".bin", ".idx"])
@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_a_file_that_was_cut_short_is_noticed(tmp_path: Path, suffix: str, kept: int):
    write(tmp_path / "shard", [[1, 2, 3], [4] * 20], 300)
    path = tmp_path / f"shard{suffix}"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(LineageError):
        read_indexed(tmp_path / "shard")


def test_a_foreign_file_is_not_an_index(tmp_path: Path):
    (tmp_path / "shard.bin").write_bytes(b"")
    (tmp_path / "shard.idx").write_bytes(b"PAR1" * 20)
    with pytest.raises(LineageError, match="not an index"):
        read_indexed(tmp_path / "shard")


@pytest.mark.parametrize(("vocabulary", "ids"), [(9, [1, 70_000]), (100_000, [-1, 5]), (9, [0, 65_536])])
def test_ids_beyond_the_number_format_are_refused_and_not_wrapped(
    tmp_path: Path, vocabulary: int, ids: list[int]
):
    with (
        pytest.raises(ValueError, match=r"do not fit u?int"),
        IndexedWriter(tmp_path / "shard", token_dtype(vocabulary)) as writer,
    ):
        writer.add(np.array(ids, dtype=np.int64), np.array([2], dtype=np.int32))
    assert list(tmp_path.iterdir()) == []


def test_a_document_of_ten_million_tokens_comes_back_whole(tmp_path: Path):
    ids = np.arange(10_000_000, dtype=np.int64) % 60_000
    with IndexedWriter(tmp_path / "shard", token_dtype(60_001)) as writer:
        writer.add(ids, np.array([len(ids)], dtype=np.int64))
    assert np.array_equal(read_indexed(tmp_path / "shard").document(0), ids)


def test_a_document_too_long_for_the_index_is_refused(tmp_path: Path):
    with (
        pytest.raises(ValueError, match="a document of 2147483648 tokens does not fit the index; split it"),
        IndexedWriter(tmp_path / "shard", token_dtype(9)) as writer,
    ):
        writer.add(np.zeros(0, dtype=np.uint16), np.array([1 << 31], dtype=np.int64))

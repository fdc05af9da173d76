"""Megatron-Core itself reads what we write: every document of every shard, by its own `IndexedDataset`."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from megatron.core.datasets.indexed_dataset import IndexedDataset

from phoenix_assets.schema import document_id
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.encoding import load_tokenizer
from phoenix_assets.tokens.indexed import IndexedWriter, token_dtype
from phoenix_assets.tokens.shards import shard_prefix, write_shards

EOD = "<|endoftext|>"


def test_each_document_of_our_shards_is_one_of_megatrons_and_ends_with_eod(
    texts: pl.Series, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
) -> None:
    count = len(texts)
    documents = pl.DataFrame(
        {
            "doc_id": [document_id("book", "d1", str(number)) for number in range(count)],
            "source": "book",
            "delivery": "d1",
            "component": "books",
            "lang": "zh",
            "text": ["", *texts[1:]],
            "copies": [1 + number % 2 for number in range(count)],
        }
    )
    trace = write_shards([documents], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    assert trace["shard"].n_unique() > 3
    tokenizer = load_tokenizer(tokenizer_json)
    eod = tokenizer.token_to_id(EOD)
    expected = {
        doc_id: tokenizer.encode(text).ids for doc_id, text in documents[["doc_id", "text"]].iter_rows()
    }
    for (shard,), rows in trace.partition_by("shard", as_dict=True).items():
        dataset = IndexedDataset(str(shard_prefix(tmp_path, "train", shard)))
        assert dataset.index.dtype == np.uint16
        assert dataset.document_indices.tolist() == list(range(rows.height + 1))
        assert [document.tolist() for document in dataset[0 : rows.height]] == [
            [*expected[doc_id], eod] for doc_id in rows["doc_id"]
        ]


@pytest.mark.parametrize("vocab_size", [65_499, 65_500, 200_000])
def test_megatron_reads_both_number_formats_and_documents_without_tokens(
    vocab_size: int, tmp_path: Path
) -> None:
    documents = [[0, vocab_size - 1], [], [7] * 1000, []]
    with IndexedWriter(tmp_path / "shard", token_dtype(vocab_size)) as writer:
        writer.add(
            np.array([number for document in documents for number in document]),
            np.array([len(document) for document in documents]),
        )
    dataset = IndexedDataset(str(tmp_path / "shard"))
    assert [dataset[position].tolist() for position in range(len(dataset))] == documents
    assert dataset.get(2, offset=990, length=5).tolist() == [7] * 5
    assert dataset.index.dtype == token_dtype(vocab_size)

"""Shards: the trace index names every token, and input order leaves no mark."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from phoenix_assets.errors import ConfigError, ConservationError
from phoenix_assets.schema import document_id
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.encoding import load_tokenizer
from phoenix_assets.tokens.indexed import read_indexed
from phoenix_assets.tokens.shards import WRITTEN, shard_prefix, write_shards

EOD = "<|endoftext|>"


@pytest.fixture(scope="module")
def documents(texts: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "doc_id": [document_id("book", "d1", str(n)) for n in range(len(texts))],
            "source": "book",
            "delivery": "d1",
            "component": "books",
            "lang": ["zh"] * 150 + ["en"] * (len(texts) - 150),
            "text": texts,
            "copies": [n % 4 for n in range(len(texts))],
        }
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_order_and_batches_of_the_input_leave_no_mark(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    first = write_shards([documents], tokenizer_json, tmp_path / "a", "train", EOD, tokens_config)
    shuffled = documents.sample(fraction=1, shuffle=True, seed=9)
    second = write_shards(
        shuffled.iter_slices(37), tokenizer_json, tmp_path / "b", "train", EOD, tokens_config
    )
    assert first.equals(second)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_the_trace_finds_the_text_of_every_copy(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    trace = write_shards([documents], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    assert trace.schema == WRITTEN
    texts = dict(documents.select("doc_id", "text").iter_rows())
    tokenizer = load_tokenizer(tokenizer_json)
    for (shard,), rows in trace.partition_by("shard", as_dict=True).items():
        stored = read_indexed(shard_prefix(tmp_path, "train", shard))
        assert rows["position"].to_list() == list(range(len(stored.lengths)))
        assert rows["tokens"].to_list() == stored.lengths.tolist()
        for row in rows.iter_rows(named=True):
            *ids, end = stored.document(row["position"]).tolist()
            assert end == 0
            assert tokenizer.decode(ids) == texts[row["doc_id"]]
            assert row["chars"] == len(texts[row["doc_id"]])


def test_offsets_count_through_the_split(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    trace = write_shards([documents], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    assert trace["offset"].to_list() == (trace["tokens"].cum_sum() - trace["tokens"]).to_list()
    shards = [
        read_indexed(shard_prefix(tmp_path, "train", shard)) for shard in range(trace["shard"].n_unique())
    ]
    everything = np.concatenate([shard.tokens for shard in shards])
    assert len(everything) == trace["tokens"].sum()
    ends = (trace["offset"] + trace["tokens"] - 1).to_numpy()
    assert not everything[ends].any()


def test_a_shard_holds_about_the_configured_tokens(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    trace = write_shards([documents], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    sizes = trace.group_by("shard", maintain_order=True).agg(pl.col("tokens").sum())["tokens"].to_list()
    longest = trace["tokens"].max()
    assert len(sizes) > 3
    assert all(abs(size - tokens_config.shard_tokens) <= longest for size in sizes[:-1])


def test_a_document_stands_as_often_as_it_has_copies(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    trace = write_shards([documents], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    counted = trace.group_by("doc_id").agg(pl.len(), pl.col("copy").sort())
    expected = documents.filter(pl.col("copies") > 0).select("doc_id", "copies")
    assert counted.join(expected, on="doc_id").filter(pl.col("len") != pl.col("copies")).is_empty()
    assert counted.height == expected.height
    assert counted.filter(pl.col("copy").list.max() != pl.col("len") - 1).is_empty()


def test_the_shuffle_mixes_what_came_sorted(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    trace = write_shards([documents], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    by_language = trace.group_by("lang").agg(pl.int_range(pl.len()).count(), middle=pl.col("offset").mean())
    total = trace["tokens"].sum()
    assert by_language["middle"].is_between(0.4 * total, 0.6 * total).all()


def test_a_smaller_run_leaves_no_shard_of_the_one_before(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    write_shards([documents], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    write_shards([documents.head(3)], tokenizer_json, tmp_path, "validation", EOD, tokens_config)
    trace = write_shards([documents.head(20)], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    ends = (".bin", ".idx", ".docs.npy")
    expected = {f"train-{n:05d}{end}" for n in range(trace["shard"].n_unique()) for end in ends}
    expected |= {f"validation-00000{end}" for end in ends}
    assert set(contents(tmp_path)) == expected | {"train-origins.parquet", "validation-origins.parquet"}


def test_a_split_without_documents_has_no_shards(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    for batches in ([], [documents.clear()], [documents.with_columns(copies=0)]):
        assert write_shards(batches, tokenizer_json, tmp_path, "heldout", EOD, tokens_config).equals(
            WRITTEN.to_frame()
        )
    assert contents(tmp_path) == {}


def test_a_document_in_two_rows_is_refused_and_leaves_nothing(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    with pytest.raises(ConservationError, match="in more than one row"):
        write_shards([documents, documents[1:2]], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    assert contents(tmp_path) == {}


def test_a_tokenizer_without_the_end_of_document_is_refused(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    with pytest.raises(ConfigError, match="no token '</s>'"):
        write_shards([documents], tokenizer_json, tmp_path, "train", "</s>", tokens_config)

"""The trace index: every row comes back, a token finds its document, and an index costs a hundredth of its data."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from phoenix_assets.errors import LineageError
from phoenix_assets.schema import document_id
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.indexed import IndexedWriter, token_dtype
from phoenix_assets.tokens.shards import write_shards
from phoenix_assets.tokens.trace import (
    ORIGIN,
    TRACE,
    TraceIndex,
    documents_file,
    origins_file,
    with_origins,
    write_documents,
)

EOD = "<|endoftext|>"


def write_index(folder: Path, lengths: list[list[int]], deliveries: int = 3) -> pl.DataFrame:
    """Write shards of documents with these lengths; return their ids and origins."""
    count = sum(map(len, lengths))
    columns = {
        "doc_id": [document_id("wiki", "d", str(number)) for number in range(count)],
        "source": ["wiki"] * count,
        "delivery": [f"d{number % deliveries}" for number in range(count)],
        "component": ["wiki"] * count,
        "lang": ["zh", "en"] * (count // 2) + ["zh"] * (count % 2),
        "copies": [1] * count,
        "copy": [0] * count,
    }
    rows, origins = with_origins(
        pl.DataFrame(columns).with_columns(pl.col(name).cast(kind) for name, kind in ORIGIN.items())
    )
    origins.write_parquet(origins_file(folder, "train"))
    start = 0
    for shard, sizes in enumerate(lengths):
        prefix = folder / f"train-{shard:05d}"
        part = rows[start : start + len(sizes)]
        write_documents(prefix, part["doc_id"], part["origin"])
        with IndexedWriter(prefix, token_dtype(9)) as writer:
            writer.add(np.zeros(sum(sizes), dtype=np.uint16), np.array(sizes, dtype=np.int32))
        start += len(sizes)
    return rows


def test_what_the_shards_writer_returns_is_what_the_index_gives_back(
    texts: pl.Series, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
) -> None:
    documents = pl.DataFrame(
        {
            "doc_id": [document_id("book", "d1", str(n)) for n in range(len(texts))],
            "source": "book",
            "delivery": [f"d{n % 7}" for n in range(len(texts))],
            "component": "books",
            "lang": [None if n % 9 == 0 else "zh" for n in range(len(texts))],
            "text": [None, "", *texts[2:]],
            "copies": [n % 4 for n in range(len(texts))],
        }
    )
    written = write_shards([documents], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    trace = TraceIndex(tmp_path, "train")
    assert trace.frame().equals(written.select(TRACE.names()))
    assert trace.doc_ids().equals(written["doc_id"])
    assert trace.lengths().tolist() == written["tokens"].to_list()
    assert trace.tokens == written["tokens"].sum()
    for doc_id in written["doc_id"].unique().sort()[:5]:
        found = written.filter(pl.col("doc_id") == doc_id).select(TRACE.names())
        assert trace.find(doc_id).sort("shard", "position").equals(found.sort("shard", "position"))


@pytest.mark.parametrize("shards", [[[4, 0, 3, 7]], [[0, 5], [0, 0, 2], [9, 0]]])
def test_a_range_of_tokens_finds_its_documents_over_empty_ones_and_shard_ends(
    tmp_path: Path, shards: list[list[int]]
) -> None:
    write_index(tmp_path, shards)
    trace = TraceIndex(tmp_path, "train")
    owners = [
        (shard, position, token)
        for shard, sizes in enumerate(shards)
        for position, size in enumerate(sizes)
        for token in range(size)
    ]
    for start in range(len(owners) + 1):
        for end in range(start, len(owners) + 1):
            found = [
                (part.shard, part.position, part.offset + token)
                for part in trace.overlaps(start, end)
                for token in range(part.tokens)
            ]
            assert found == owners[start:end]
    with pytest.raises(LineageError, match=r"are outside the 1[46] tokens"):
        list(trace.overlaps(0, len(owners) + 1))


def test_documents_of_a_thousand_tokens_cost_a_hundredth_of_their_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_index(tmp_path, [rng.integers(500, 1500, size=5000).tolist()], deliveries=300)
    data = (tmp_path / "train-00000.bin").stat().st_size
    index = sum(path.stat().st_size for path in (*tmp_path.glob("*.npy"), *tmp_path.glob("*.parquet")))
    assert index <= 0.01 * data


def test_an_index_for_other_documents_or_cut_short_is_refused(tmp_path: Path) -> None:
    rows = write_index(tmp_path, [[3, 4, 5]])
    path = documents_file(tmp_path / "train-00000")
    write_documents(tmp_path / "train-00000", rows["doc_id"][:2], rows["origin"][:2])
    with pytest.raises(LineageError, match=r"docs\.npy: 2 documents, the shard has 3"):
        TraceIndex(tmp_path, "train")
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(LineageError, match=r"docs\.npy: no trace index: .*; materialise the tokens again"):
        TraceIndex(tmp_path, "train")
    path.unlink()
    with pytest.raises(LineageError, match=r"docs\.npy: no trace index"):
        TraceIndex(tmp_path, "train")


def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    for wrong in ("abc", None, "Z" * 32):
        with pytest.raises(LineageError, match="is not 32 hex digits"):
            write_documents(
                tmp_path / "train-00000", pl.Series([wrong], dtype=pl.String), pl.Series([0], dtype=pl.UInt8)
            )


def test_a_split_without_shards_has_no_documents(tmp_path: Path) -> None:
    trace = TraceIndex(tmp_path, "heldout")
    assert trace.frame().equals(TRACE.to_frame()) and trace.tokens == 0 and len(trace.lengths()) == 0

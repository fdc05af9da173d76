"""Workers tokenise shards beside each other; the token shards do not show how many there were."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.schema import document_id
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.encoding import number_format
from phoenix_assets.tokens.indexed import read_indexed
from phoenix_assets.tokens.shards import gather_shards, shard_prefix, write_shards
from phoenix_assets.tokens.spool import SpoolWork
from resources.local_engine import LocalEngine

EOD = "<|endoftext|>"


@dataclass(frozen=True)
class Stored:
    """A shard of documents in a file."""

    path: Path

    def read(self) -> pl.DataFrame:
        return pl.read_parquet(self.path)


@pytest.fixture(scope="module")
def documents(texts: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "doc_id": [document_id("book", "d1", str(n)) for n in range(len(texts))],
            "source": "book",
            "delivery": "d1",
            "lang": "zh",
            "text": texts,
            "component": "books",
            "copies": [1 + n % 2 for n in range(len(texts))],
            "split": ["validation" if n % 10 == 3 else "train" for n in range(len(texts))],
        }
    )


def write(
    documents: pl.DataFrame, size: int, workers: int, tokenizer: Path, config: TokensConfig, folder: Path
) -> dict[str, bytes]:
    (folder / "spools").mkdir(parents=True)
    documents.select("doc_id", "component", "copies", "split").write_parquet(folder / "wanted.parquet")
    items = []
    for number, rows in enumerate(documents.drop("component", "copies", "split").iter_slices(size)):
        rows.write_parquet(folder / f"{number}.parquet")
        items.append((Stored(folder / f"{number}.parquet"), folder / "wanted.parquet"))
    work = SpoolWork(tokenizer, EOD, config, folder / "spools")
    parts = list(LocalEngine(workers).map(work, items))
    for split in ("train", "validation"):
        of_split = (part[split] for part in parts if split in part)
        gather_shards(of_split, number_format(tokenizer), folder / "shards", split, config)
    assert list((folder / "spools").iterdir()) == []
    return {path.name: path.read_bytes() for path in (folder / "shards").iterdir()}


def test_any_number_of_workers_and_shards_gives_the_same_bytes(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(tokenizer_json)
    two = write(documents, 60, 2, tokenizer, tokens_config, tmp_path / "two")
    one = write(documents.reverse(), 1000, 1, tokenizer, tokens_config, tmp_path / "one")
    assert two == one
    for split in ("train", "validation"):
        rows = documents.filter(pl.col("split") == split)
        write_shards([rows], tokenizer, tmp_path / "alone", split, EOD, tokens_config)
    assert two == {path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir()}


def test_empty_documents_and_odd_ones_stand_in_the_shards_with_an_end_each(
    documents: pl.DataFrame, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    odd = pl.Series([None, "", "\0", "\0" * 100_000, "👩‍👩‍👧‍👦", "<|endoftext|>"], dtype=pl.String)
    rows = documents.head(len(odd)).with_columns(text=odd, copies=1)
    trace = write_shards([rows], tokenizer_json, tmp_path, "train", EOD, tokens_config)
    lengths = dict(trace.select("doc_id", "tokens").iter_rows())
    by_text = [lengths[doc_id] for doc_id in rows["doc_id"]]
    assert by_text[:3] == [1, 1, 2]
    stored = [read_indexed(shard_prefix(tmp_path, "train", shard)) for shard in trace["shard"].unique()]
    assert sum(int((shard.tokens == 0).sum()) for shard in stored) == len(odd)
    assert trace["tokens"].sum() == sum(len(shard.tokens) for shard in stored)

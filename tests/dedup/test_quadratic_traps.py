"""Collections that make a naive comparison quadratic, and documents with hardly anything to compare."""

from datetime import date
from functools import partial

import numpy as np
import polars as pl
import pytest

from phoenix_assets.config import load
from phoenix_assets.dedup.candidates import DeliveryInput, Sorting
from phoenix_assets.dedup.config import DedupConfig, Granularity, PrintsConfig
from phoenix_assets.dedup.granularity import bands, block, least
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.minhash import to_binary
from phoenix_assets.dedup.segments import Block
from phoenix_assets.dedup.stages import signature_rows
from phoenix_assets.dedup.update import update

URL, EXACT, NEAR = Granularity
BLOCK = 131_072


@pytest.fixture
def new_index(tmp_path, group, signature_config):
    def make(granularity: Granularity) -> Index:
        return Index(
            tmp_path / granularity, bands(granularity, group), least(granularity, group, signature_config),
            group.compared, 2_000_000, threads=2,
        )  # fmt: skip

    return make


def copies(granularity: Granularity, places: int, bands: int, count: int) -> list[Block]:
    """Return blocks of so many copies of one document."""
    draw = np.random.default_rng(0)
    prints, keys = draw.integers(0, 2**32, (1, places), np.uint32), draw.integers(1, 2**62, (bands, 1))
    return [
        Block(
            ids=np.arange(2 * start, 2 * (start + size), dtype=np.uint64).view(np.uint8).reshape(size, 16),
            deliveries=np.zeros(size, np.int32),
            prints=np.repeat(prints, size, axis=0),
            keys=np.repeat(keys, size, axis=1),
        )
        for start in range(0, count, BLOCK)
        for size in [min(BLOCK, count - start)]
    ]


def kept(index: Index) -> np.ndarray:
    numbers = np.arange(index.size)
    return np.flatnonzero(index.gather("survivors", numbers) == numbers)


@pytest.mark.slow
def test_a_million_equal_documents_stand_behind_the_first(new_index):
    index = new_index(EXACT)
    index.add(copies(EXACT, 4, 1, 1_000_000))
    assert (index.size, index.duplicates) == (1_000_000, 999_999)
    assert kept(index).tolist() == [0]


@pytest.mark.slow
def test_a_million_documents_with_one_signature_stand_behind_the_first(new_index):
    index = new_index(NEAR)
    index.add(copies(NEAR, 112, 14, 1_000_000))
    assert (index.size, index.duplicates) == (1_000_000, 999_999)
    assert kept(index).tolist() == [0]


def test_copies_of_documents_that_are_gone_are_decided_as_if_those_had_never_come(new_index):
    index = new_index(EXACT)
    for times in range(3):
        index.add(copies(EXACT, 4, 1, 300_000))
        assert kept(index).tolist() == [300_000 * times]
        index.take_out(index.numbers_of([0]))
    assert kept(index).tolist() == []


def test_a_document_that_shares_a_band_with_everything_is_compared_with_the_latest_only(new_index):
    count = 100_000
    draw = np.random.default_rng(1)
    keys = draw.integers(1, 2**62, (14, count))
    keys[0] = 7  # all share their first band
    keys[:, -1] = keys[np.arange(14), np.arange(14) * 1000]  # and the last one a band with each of these
    prints = draw.integers(0, 2**32, (count, 112), np.uint32)
    prints[-1] = prints[5000]
    index = new_index(NEAR)
    index.add(
        [
            Block(
                ids=np.zeros((count, 16), np.uint8),
                deliveries=np.zeros(count, np.int32),
                prints=prints,
                keys=keys,
            )
        ]
    )
    assert index.gather("survivors", np.array([count - 1])).tolist() == [5000]
    assert index.duplicates == 1


@pytest.fixture
def decide(tmp_path, new_index, group, signature_config):
    """Decide documents (doc_id, text and perhaps quality) at a granularity, all in one delivery."""

    def decided(granularity: Granularity, rows: pl.DataFrame) -> pl.DataFrame:
        path = tmp_path / "signatures.parquet"
        rows.write_parquet(path)
        index = new_index(granularity)
        index.folder.mkdir(exist_ok=True)
        update(
            index, [], [DeliveryInput("cc", "d", 0, "v", (path,))], granularity.column,
            Sorting("256MiB", tmp_path, 1000),
            partial(block, granularity=granularity, group=group, signature=signature_config),
        )  # fmt: skip
        return index.decisions(np.arange(index.size))

    return decided


@pytest.fixture
def prints(signature_config) -> PrintsConfig:
    from pathlib import Path

    committed = load(DedupConfig, Path(__file__).parents[2] / "config" / "dedup.yaml").prints
    return committed.model_copy(update={"signature": signature_config})


def rows_of(
    texts: list[str], prints: PrintsConfig, perplexity: list[float | None] | None = None
) -> pl.DataFrame:
    documents = pl.DataFrame(
        {
            "source": "cc",
            "delivery": "d",
            "doc_id": [f"{number:032x}" for number in range(len(texts))],
            "lang": "en",
            "url": pl.Series([None] * len(texts), dtype=pl.String),
            "text": texts,
            "perplexity": pl.Series(perplexity or [None] * len(texts), dtype=pl.Float64),
        }
    )
    return signature_rows(documents, received=date(2024, 8, 1), config=prints).documents


@pytest.mark.parametrize("granularity", [EXACT, NEAR])
def test_documents_without_a_letter_are_all_kept_and_those_of_one_letter_are_duplicates(
    decide, prints, granularity
):
    decided = decide(granularity, rows_of(["", "", "…", " !? ", "x", "X.", "y", "中", "中"], prints))
    assert decided.sort("doc_id")["kept"].to_list() == [True] * 5 + [False, True, True, False]


@pytest.mark.parametrize(
    "quality", [[None] * 4, [float("nan")] * 4, [float("nan"), None, float("nan"), None]]
)
def test_without_any_quality_the_lowest_doc_id_is_kept(decide, prints, quality):
    decided = decide(EXACT, rows_of(["the same"] * 4, prints, quality))
    assert decided.filter("kept")["doc_id"].to_list() == [f"{0:032x}"]


def test_a_quality_that_is_no_number_is_worse_than_any(decide, prints):
    decided = decide(EXACT, rows_of(["the same"] * 4, prints, [float("nan"), None, 9999.0, 99.0]))
    assert decided.filter("kept")["doc_id"].to_list() == [f"{3:032x}"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_rows_and_of_ids_says_nothing(decide, prints, seed):
    texts = [f"text number {number // 3} and what it says about itself" for number in range(300)]
    rows = rows_of(texts, prints)
    ids = pl.Series(
        "doc_id", [f"{(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128:032x}" for number in range(300)]
    )
    rows = rows.with_columns(ids)
    expected = decide(EXACT, rows.sort("doc_id"))
    for order in (rows.sort("doc_id", descending=True), rows.sample(fraction=1, shuffle=True, seed=seed)):
        assert decide(EXACT, order).equals(expected)
    assert expected["kept"].sum() == 100


def test_prints_of_nothing_but_equal_bytes_are_found_too(new_index):
    """All keys equal in all bands, and prints that differ: nothing is joined, in bounded time."""
    count = 50_000
    index = new_index(NEAR)
    index.add(
        [
            Block(
                ids=np.zeros((count, 16), np.uint8),
                deliveries=np.zeros(count, np.int32),
                prints=np.random.default_rng(2).integers(0, 2**32, (count, 112), np.uint32),
                keys=np.full((14, count), 1),
            )
        ]
    )
    assert index.duplicates == 0
    assert to_binary(index.gather("prints", np.arange(2))).len() == 2

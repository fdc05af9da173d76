"""Similar documents stand next to each other: languages and topics keep together, and each document has one place."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.order.config import Similar
from phoenix_assets.order.similarity import chain, similarity_places
from phoenix_assets.schema import document_id
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.shards import write_shards
from phoenix_assets.tokens.trace import TraceIndex

EOD = "<|endoftext|>"


@pytest.fixture(scope="module")
def trace(
    texts: pl.Series,
    tokenizer_json: bytes,
    tokens_config: TokensConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> TraceIndex:
    folder = tmp_path_factory.mktemp("similar")
    documents = pl.DataFrame(
        {
            "doc_id": [document_id("book", "d1", str(n)) for n in range(len(texts))],
            "source": "book",
            "delivery": "d1",
            "component": "books",
            "lang": ["zh"] * 150 + ["en"] * (len(texts) - 150),
            "text": texts,
            "copies": 1,
        }
    )
    write_shards([documents], tokenizer_json, folder, "train", EOD, tokens_config)
    return TraceIndex(folder, "train")


def test_a_document_s_neighbours_are_of_its_language_far_more_often_than_by_chance(trace: TraceIndex) -> None:
    langs = trace.frame()["lang"].to_numpy()
    ordered = langs[np.argsort(similarity_places(trace.prefixes, Similar(), 7))]
    assert (langs[1:] == langs[:-1]).mean() < 0.65
    assert (ordered[1:] == ordered[:-1]).mean() > 0.9


def test_every_document_has_one_place_and_the_seed_decides_it(trace: TraceIndex) -> None:
    first, again, other = (similarity_places(trace.prefixes, Similar(), seed) for seed in (1, 1, 2))
    assert sorted(first.tolist()) == list(range(len(trace.lengths())))
    assert first.tolist() == again.tolist() != other.tolist()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(2, 9), st.integers(0, 9))
def test_a_chain_holds_every_row_once_whatever_the_rows(count: int, compared: int, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(-1, 2, size=(count, 64)).astype(np.float32)
    assert sorted(chain(rows, compared).tolist()) == list(range(count))


def test_rows_on_a_circle_are_walked_along() -> None:
    angles = np.random.default_rng(3).permutation(np.linspace(0, np.pi, 100))
    rows = np.zeros((100, 64), dtype=np.float32)
    rows[:, 0], rows[:, 1] = np.cos(angles), np.sin(angles)
    walked = angles[chain(rows, 128)]
    assert (np.abs(np.diff(walked)) < 0.04).mean() > 0.9

"""Draws by document id: the numpy hash is XXH3-64, and purposes do not share their chance."""

import numpy as np
import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets import draw
from phoenix_assets.errors import LineageError
from phoenix_assets.schema import document_id

ids = st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), min_size=1, max_size=20)
seeds = st.integers(0, 2**64 - 1)


@settings(deadline=None)  # the first call compiles
@given(ids, seeds)
def test_the_hash_is_xxh3_64_of_the_id(doc_ids: list[str], seed: int):
    expected = [xxhash.xxh3_64_intdigest(doc_id.encode(), seed=seed) for doc_id in doc_ids]
    assert draw.hashes(pl.Series(doc_ids), seed).tolist() == expected


@settings(deadline=None)  # the first call compiles
@given(ids, st.data())
def test_each_id_may_have_its_own_seed(doc_ids: list[str], data: st.DataObject):
    own = data.draw(st.lists(seeds, min_size=len(doc_ids), max_size=len(doc_ids)))
    expected = [
        xxhash.xxh3_64_intdigest(doc_id.encode(), seed=seed)
        for doc_id, seed in zip(doc_ids, own, strict=True)
    ]
    assert draw.hashes(pl.Series(doc_ids), np.array(own, dtype=np.uint64)).tolist() == expected


def test_a_slice_of_a_frame_draws_as_the_frame_does():
    doc_ids = pl.Series([document_id("wiki", "d", str(n)) for n in range(100)])
    whole = draw.uniform(doc_ids, salt="sample", seed=7)
    assert draw.uniform(doc_ids[37:64], salt="sample", seed=7).equals(whole[37:64])


def test_two_purposes_draw_independently():
    doc_ids = pl.Series([document_id("wiki", "d", str(n)) for n in range(20_000)])
    first, second = (draw.uniform(doc_ids, salt=salt, seed=0) for salt in ("sample", "heldout"))
    assert abs(np.corrcoef(first.to_numpy(), second.to_numpy())[0, 1]) < 0.03
    assert abs(first.mean() - 0.5) < 0.01


def test_an_id_of_another_length_is_refused_by_name():
    with pytest.raises(LineageError, match="'short' is not 32 hex digits"):
        draw.uniform(pl.Series(["short"]), salt="sample", seed=0)


def test_no_documents_draw_nothing():
    assert len(draw.uniform(pl.Series([], dtype=pl.String), salt="sample", seed=0)) == 0

"""Exact duplicates: a 128-bit hash of a text's letters, digits and marks, folded as shingles fold them."""

import itertools
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from phoenix_assets.dedup import shingles

KERNEL_VERSION: Final = "1"


def exact_hash(text: pl.Series) -> pl.Series:
    """Return XXH3-128 of each text without case, white space and punctuation.

    The column is `exact_hash`, Binary of 16 bytes. The value is null where nothing is left to hash: such
    documents are duplicates of nothing.
    """
    digest = xxhash.xxh3_128_digest
    hashes: list[pl.Series] = [pl.Series("exact_hash", [], pl.Binary)]
    for _, part in shingles.batches(text):
        folded, ends = shingles.folded_text(part)
        view = folded.data
        bounds = ends.tolist()
        joined = b"".join([digest(view[start:end]) for start, end in itertools.pairwise(bounds)])
        array = pa.Array.from_buffers(pa.binary(16), len(part), [None, pa.py_buffer(joined)])
        column = pl.Series("exact_hash", array.cast(pa.large_binary()))
        hashes.append(pl.select(exact_hash=pl.when(pl.Series(np.diff(ends) > 0)).then(column)).to_series())
    return pl.concat(hashes, rechunk=True)

"""Exact duplicates: a 128-bit hash of a text's letters, digits and marks, folded as shingles fold them."""

import itertools
from typing import Final

import numpy as np
import polars as pl
import xxhash

from phoenix_assets.dedup import shingles
from phoenix_assets.dedup.binary import to_binary

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
        column = to_binary("exact_hash", np.frombuffer(joined, np.uint8).reshape(len(part), 16))
        hashes.append(pl.select(exact_hash=pl.when(pl.Series(np.diff(ends) > 0)).then(column)).to_series())
    return pl.concat(hashes, rechunk=True)

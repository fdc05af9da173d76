"""MinHash signatures (Broder, 1997): two signatures' share of equal values estimates Jaccard similarity.

Permutation i maps a shingle's 32-bit hash h to (a_i * h + b_i) mod 2^32 with a_i odd, a bijection; a
signature is the least image under each. A document without any shingle has the value EMPTY everywhere and is
like nothing. Signatures are stored as little-endian bytes, 4 a permutation.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.dedup import binary, shingles
from phoenix_assets.dedup.config import SignatureConfig
from phoenix_assets.errors import LineageError

KERNEL_VERSION: Final = "1"

EMPTY: Final = np.uint32(0xFFFFFFFF)

Signatures = npt.NDArray[np.uint32]


def signatures(text: pl.Series, config: SignatureConfig) -> Signatures:
    """Return the signatures of a String column: (documents, permutations)."""
    factors, terms = _permutations(config)
    result = np.full((len(text), config.permutations), EMPTY, np.uint32)
    for first, part in shingles.batches(text):
        values, ends = shingles.shingle_hashes(part, config.shingle)
        _least_images(values, ends, factors, terms, result[first : first + len(part)])
    return result


def similarity(left: Signatures, right: Signatures) -> npt.NDArray[np.float64]:
    """Return the estimated Jaccard similarity of signatures, row by row; 0 where both are empty."""
    shares: npt.NDArray[np.float64] = _share_equal(np.ascontiguousarray(left), np.ascontiguousarray(right))
    return shares


def to_binary(signature_rows: Signatures) -> pl.Series:
    """Return signatures as a Binary column `signature`, one value a document."""
    return binary.to_binary("signature", signature_rows.astype("<u4", copy=False))


def from_binary(column: pl.Series, permutations: int) -> Signatures:
    """Return the signatures in a Binary column; LineageError if one has another number of permutations."""
    if column.null_count() or not (column.bin.size() == 4 * permutations).all():
        sizes = sorted(column.bin.size().fill_null(0).unique())
        raise LineageError(
            f"stored signatures have {[size // 4 for size in sizes]} permutations, the configuration has "
            f"{permutations}: rebuild the index"
        )
    return binary.from_binary(column, 4 * permutations).view("<u4")


def _permutations(config: SignatureConfig) -> tuple[Signatures, Signatures]:
    """Return (odd factors, terms), drawn by SplitMix64 (Steele, Lea & Flood, 2014) alike on all platforms."""
    state = config.seed
    drawn = []
    for _ in range(config.permutations):
        state = (state + 0x9E3779B97F4A7C15) % (1 << 64)
        value = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % (1 << 64)
        value = (value ^ value >> 27) * 0x94D049BB133111EB % (1 << 64)
        drawn.append(value ^ value >> 31)
    values = np.array(drawn, np.uint64)
    return (values >> np.uint64(32)).astype(np.uint32) | np.uint32(1), values.astype(np.uint32)


@numba.njit(cache=True, nogil=True)
def _least_images(
    values: Signatures,
    ends: npt.NDArray[np.int64],
    factors: Signatures,
    terms: Signatures,
    result: Signatures,
) -> None:
    # Permutations are the inner loop: so it vectorises, and the row stays in the first-level cache.
    for document in range(len(ends) - 1):
        row = result[document]
        for place in range(ends[document], ends[document + 1]):
            value = values[place]
            for index in range(len(factors)):
                row[index] = min(row[index], np.uint32(factors[index] * value + terms[index]))


@numba.njit(cache=True, nogil=True)
def _share_equal(left: Signatures, right: Signatures) -> npt.NDArray[np.float64]:
    shares = np.zeros(len(left))
    for row in range(len(left)):
        equal = 0
        empty = True
        for index in range(left.shape[1]):
            equal += left[row, index] == right[row, index]
            empty &= left[row, index] == EMPTY
        if not empty:
            shares[row] = equal / left.shape[1]
    return shares

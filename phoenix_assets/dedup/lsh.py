"""Locality-sensitive hashing: from signatures to the pairs that hold clusters of near-duplicates together.

The model:
- A signature is cut into bands; documents with an equal band share a bucket and are candidates (Indyk &
  Motwani, 1998).
- A candidate pair is joined when its signatures' similarity reaches the threshold: sharing a bucket alone
  joins nothing.
- The result is a spanning forest: a pair whose members are connected already is not looked at again, so there
  are fewer edges than documents. It has the components of all the pairs that were compared.
- A bucket costs at most `compared` comparisons a member: its first member and the latest ones before it. Rows
  with the same signature are joined beforehand and take part once, so neither a million copies nor a
  boilerplate bucket is quadratic.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.dedup.minhash import EMPTY, Signatures

KERNEL_VERSION: Final = "1"

Keys = npt.NDArray[np.int64]

EDGE: Final = pl.Schema({"a": pl.Int64, "b": pl.Int64, "similarity": pl.Float64})

_ROUNDING: Final = 1e-9


def band_keys(signatures: Signatures, bands: int, rows: int) -> Keys:
    """Return a 64-bit key for each band of each document: (documents, bands).

    Keys of different bands never mean the same; a document without shingles has keys too, `edges` leaves it
    out. Keys are signed because lake tables have no unsigned type.
    """
    if bands * rows > signatures.shape[1]:
        raise ValueError(
            f"{bands} bands x {rows} rows do not fit signatures of {signatures.shape[1]} permutations"
        )
    keys = np.empty((len(signatures), bands), np.uint64)
    _hash_bands(np.ascontiguousarray(signatures), rows, keys)
    return keys.view(np.int64)


def is_empty(signatures: Signatures) -> npt.NDArray[np.bool_]:
    """Return which documents had no shingle."""
    return np.asarray((signatures == EMPTY).all(axis=1), np.bool_)


def least_equal(threshold: float, permutations: int) -> int:
    """Return in how many of its permutations two signatures agree whose estimated similarity reaches `threshold`."""
    return int(np.ceil(threshold * permutations - _ROUNDING))


def edges(signatures: Signatures, *, bands: int, rows: int, threshold: float, compared: int) -> pl.DataFrame:
    """Return EDGE rows (a < b are row numbers) that span the clusters of near-duplicates.

    `threshold` is the least estimated similarity of a pair that is joined, `compared` the most members of one
    bucket that a further member is compared with.
    """
    count, permutations = signatures.shape
    signatures = np.ascontiguousarray(signatures)
    parent = np.arange(count)
    live = ~is_empty(signatures)
    pairs = np.empty((2, count), np.int64)
    equal = np.empty(count, np.int64)
    whole = band_keys(signatures, 1, permutations)[:, 0].copy()
    found = _join(signatures, whole, live, permutations, 1, parent, pairs, equal, 0)
    live &= parent == np.arange(count)
    least = least_equal(threshold, permutations)
    keys = band_keys(signatures, bands, rows)
    for band in range(bands):
        found = _join(signatures, keys[:, band].copy(), live, least, compared, parent, pairs, equal, found)
    return pl.DataFrame(
        {"a": pairs[0, :found], "b": pairs[1, :found], "similarity": equal[:found] / permutations},
        schema=EDGE,
    )


@numba.njit(cache=True, nogil=True)
def _hash_bands(signatures: Signatures, rows: int, keys: npt.NDArray[np.uint64]) -> None:
    for document in range(len(signatures)):
        for band in range(keys.shape[1]):
            key = np.uint64(band + 1) * np.uint64(0x9E3779B97F4A7C15)
            for index in range(band * rows, (band + 1) * rows):
                key = (key ^ np.uint64(signatures[document, index])) * np.uint64(0xFF51AFD7ED558CCD)
                key ^= key >> np.uint64(32)
            keys[document, band] = key


@numba.njit(cache=True, nogil=True)
def _root(parent: Keys, row: int) -> int:
    # The same as in components.py: numba's cache on disk does not see a change in another module.
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@numba.njit(cache=True, nogil=True)
def _try(
    signatures: Signatures,
    least: int,
    parent: Keys,
    a: int,
    b: int,
    pairs: Keys,
    equal: Keys,
    found: int,
) -> int:
    """Join rows a < b unless they are connected or differ too much. Returns the number of edges."""
    root_a = _root(parent, a)
    root_b = _root(parent, b)
    if root_a == root_b:
        return found
    same = 0
    for index in range(signatures.shape[1]):
        same += signatures[a, index] == signatures[b, index]
    if same < least:
        return found
    parent[max(root_a, root_b)] = min(root_a, root_b)
    pairs[0, found] = a
    pairs[1, found] = b
    equal[found] = same
    return found + 1


@numba.njit(cache=True, nogil=True)
def _join(
    signatures: Signatures,
    keys: Keys,
    live: npt.NDArray[np.bool_],
    least: int,
    compared: int,
    parent: Keys,
    pairs: Keys,
    equal: Keys,
    found: int,
) -> int:
    """Put the live rows into buckets by key and join each with members that came before it."""
    size = 1
    while size < 2 * len(keys):
        size *= 2
    latest = np.full(size, -1, np.int64)  # open addressing: the latest member of a bucket
    first = np.full(size, -1, np.int64)
    previous = np.full(len(keys), -1, np.int64)
    for row in range(len(keys)):
        if not live[row]:
            continue
        slot = keys[row] & (size - 1)
        while latest[slot] != -1 and keys[latest[slot]] != keys[row]:
            slot = (slot + 1) & (size - 1)
        if latest[slot] == -1:
            first[slot] = row
        else:
            found = _try(signatures, least, parent, first[slot], row, pairs, equal, found)
            other = latest[slot]
            tried = 1
            while other != first[slot] and tried < compared:
                found = _try(signatures, least, parent, other, row, pairs, equal, found)
                other = previous[other]
                tried += 1
        previous[row] = latest[slot]
        latest[slot] = row
    return found

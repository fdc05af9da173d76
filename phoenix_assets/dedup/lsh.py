"""Locality-sensitive hashing: the keys by which near-duplicates find each other (Indyk & Motwani, 1998).

A signature is cut into bands; documents with an equal band share a key and are candidates. Sharing a key alone joins
nothing: `settle` compares the signatures.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from phoenix_assets.dedup.minhash import EMPTY, Signatures

KERNEL_VERSION: Final = "1"

Keys = npt.NDArray[np.int64]

_ROUNDING: Final = 1e-9


def band_keys(signatures: Signatures, bands: int, rows: int) -> Keys:
    """Return a 64-bit key for each band of each document: (documents, bands).

    Keys of different bands never mean the same; a document without shingles has keys too, which
    `is_empty` is there to leave out. Keys are signed because lake tables have no unsigned type.
    """
    if bands * rows > signatures.shape[1]:
        raise ValueError(
            f"{bands} bands x {rows} rows do not fit signatures of {signatures.shape[1]} permutations"
        )
    keys = np.empty((bands, len(signatures)), np.uint64).T  # a band's lie together
    _hash_bands(np.ascontiguousarray(signatures), rows, keys)
    return keys.view(np.int64)


def is_empty(signatures: Signatures) -> npt.NDArray[np.bool_]:
    """Return which documents had no shingle."""
    empty = np.asarray(signatures[:, 0] == EMPTY, np.bool_)
    empty[empty] = (signatures[empty] == EMPTY).all(axis=1)
    return empty


def least_equal(threshold: float, permutations: int) -> int:
    """Return in how many of its permutations two signatures agree whose estimated similarity reaches `threshold`."""
    return int(np.ceil(threshold * permutations - _ROUNDING))


@numba.njit(cache=True, nogil=True)
def _hash_bands(signatures: Signatures, rows: int, keys: npt.NDArray[np.uint64]) -> None:
    for document in range(len(signatures)):
        for band in range(keys.shape[1]):
            key = np.uint64(band + 1) * np.uint64(0x9E3779B97F4A7C15)
            for index in range(band * rows, (band + 1) * rows):
                key = (key ^ np.uint64(signatures[document, index])) * np.uint64(0xFF51AFD7ED558CCD)
                key ^= key >> np.uint64(32)
            keys[document, band] = key

"""Stable draws by document id: the chance that sampling, splits and shuffles share.

A draw is a pure function of `doc_id`, a purpose (the salt) and a seed, so it is the same on every machine, in
every order of documents and in every release, and two purposes never share their chance. The hash is XXH3-64
over the 32 characters of the id, and any xxHash library repeats it: `xxh3_64(doc_id, seed=xxh3_64(salt,
seed=seed))`.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from phoenix_assets.errors import LineageError

KERNEL_VERSION: Final = "1"

UInt64Array = npt.NDArray[np.uint64]

_ID_BYTES: Final = 32
_LENGTH: Final = np.uint64(_ID_BYTES * 0x9E3779B185EBCA87 & (1 << 64) - 1)
_AVALANCHE: Final = np.uint64(0x165667919E3779F9)
# The first 32 bytes of XXH3's default secret, as four little-endian words.
_SECRET: Final = np.array(
    [0xBE4BA423396CFEB8, 0x1CAD21F72C81017C, 0xDB979083E96DD4DE, 0x1F67B3B7A4A44072], dtype=np.uint64
)


def salted_seed(salt: str, seed: int) -> int:
    """Return the 64-bit hash seed of one purpose (`salt`) under the recipe's `seed` (0 ≤ seed < 2^64)."""
    return xxhash.xxh3_64_intdigest(salt.encode("utf-8"), seed=seed)


def hashes(doc_ids: pl.Series | UInt64Array, seed: int | UInt64Array) -> UInt64Array:
    """Return XXH3-64 of each document id (or of its `words`) under `seed` (one for all, or one for each id).

    Raises LineageError for an id that is null or not 32 bytes long. Source: XXH3_len_17to128_64b of xxHash
    0.8.
    """
    rows = words(doc_ids) if isinstance(doc_ids, pl.Series) else doc_ids
    seeds = np.broadcast_to(np.asarray(seed, dtype=np.uint64), (len(rows),))
    hashed = np.empty(len(rows), dtype=np.uint64)
    _hash(rows, seeds, hashed)
    return hashed


def uniform(doc_ids: pl.Series | UInt64Array, *, salt: str, seed: int) -> pl.Series:
    """Return a number in [0, 1) for each document id (or its `words`): the top 53 bits of its hash."""
    drawn = hashes(doc_ids, salted_seed(salt, seed)) >> np.uint64(11)
    return pl.Series(salt, drawn.astype(np.float64) * 2.0**-53)


def words(doc_ids: pl.Series) -> UInt64Array:
    """Return the ids' bytes as four little-endian words a row, for those who draw more than once.

    Raises LineageError for an id that is null or not 32 bytes long.
    """
    wrong = doc_ids.filter(doc_ids.str.len_bytes().ne_missing(_ID_BYTES))
    if len(wrong):
        raise LineageError(
            f"doc_id {wrong[0]!r} is not {_ID_BYTES} hex digits ({len(wrong)} of {len(doc_ids)} rows);"
            " documents get their ids from phoenix_assets.schema.document_id"
        )
    array = doc_ids.to_arrow(compat_level=pl.CompatLevel.oldest())
    if not len(array):
        return np.empty((0, 4), dtype=np.uint64)
    first = np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset]
    text = np.frombuffer(array.buffers()[2], dtype=np.uint8)[first : first + len(array) * _ID_BYTES]
    return text.reshape(-1, _ID_BYTES).copy().view(np.uint64)


@numba.njit(cache=True, nogil=True)
def _hash(words: UInt64Array, seeds: UInt64Array, hashed: UInt64Array) -> None:
    for row in range(len(words)):
        low, high, lower, higher = words[row]
        seed = seeds[row]
        total = _folded_product(low ^ (_SECRET[0] + seed), high ^ (_SECRET[1] - seed))
        total += _folded_product(lower ^ (_SECRET[2] + seed), higher ^ (_SECRET[3] - seed))
        total += _LENGTH
        total = (total ^ (total >> np.uint64(37))) * _AVALANCHE
        hashed[row] = total ^ (total >> np.uint64(32))


@numba.njit(cache=True, nogil=True)
def _folded_product(left: np.uint64, right: np.uint64) -> np.uint64:
    """Return the 128-bit product of two words, its halves combined by exclusive or."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    left_low, left_high, right_low, right_high = left & low, left >> half, right & low, right >> half
    cross, other = left_high * right_low, left_low * right_high
    carry = ((left_low * right_low >> half) + (cross & low) + (other & low)) >> half
    return np.uint64(left_high * right_high + (cross >> half) + (other >> half) + carry) ^ (left * right)

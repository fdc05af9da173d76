"""What is compared at each granularity of document deduplication: the address, the exact text, or what is nearly it.

Each has a print and keys of it (see `segments`). Documents that one granularity drops are not looked at by the next.
"""

from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup import lsh, minhash
from phoenix_assets.dedup.config import Granularity, GroupConfig, SignatureConfig
from phoenix_assets.dedup.segments import NO_KEY, Block, Numbers

KERNEL_VERSION: Final = "1"

_HASH_PLACES: Final = 4  # a 128-bit hash as uint32


def bands(granularity: Granularity, group: GroupConfig) -> int:
    """Return how many keys a document has."""
    return group.bands if granularity is Granularity.NEAR else 1


def least(granularity: Granularity, group: GroupConfig, signature: SignatureConfig) -> int:
    """Return in how many places the prints of duplicates agree."""
    if granularity is Granularity.NEAR:
        return lsh.least_equal(group.threshold, signature.permutations)
    return _HASH_PLACES


def block(
    documents: pl.DataFrame, granularity: Granularity, group: GroupConfig, signature: SignatureConfig
) -> Block:
    """Return documents (doc_id, lang, delivery_number, print), in the order of their priority, as a block.

    Raises LineageError when a stored signature does not fit the configuration.
    """
    if granularity is Granularity.NEAR:
        prints = minhash.from_binary(documents["print"], signature.permutations)
        keys = lsh.band_keys(prints, group.bands, group.rows).T
        keyless = lsh.is_empty(prints)
    else:
        keyless = documents["print"].is_null().to_numpy()
        prints = minhash.from_binary(documents["print"].fill_null(bytes(4 * _HASH_PLACES)), _HASH_PLACES)
        keys = prints[:, :2].copy().view(np.int64).T
    keys ^= _language(documents["lang"], group)
    keys[:, keyless] = NO_KEY
    return Block(
        ids=np.frombuffer(bytes.fromhex(documents["doc_id"].str.join().item()), np.uint8).reshape(-1, 16),
        deliveries=documents["delivery_number"].to_numpy().astype(np.int32),
        prints=np.ascontiguousarray(prints),
        keys=np.ascontiguousarray(keys),
    )


def _language(lang: pl.Series, group: GroupConfig) -> Numbers:
    """Return what sets the keys of different languages apart, 0 where they are compared with each other."""
    if not group.by_language:
        return np.zeros(len(lang), np.int64)
    codes = {code: int.from_bytes(code.encode()[:7].ljust(8, b"\0"), "little") for code in lang.unique()}
    return lang.replace_strict(codes, return_dtype=pl.Int64).to_numpy()

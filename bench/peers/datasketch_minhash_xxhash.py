"""The same as `datasketch_minhash`, with xxHash in the place of its default hash function (SHA-1)."""

from typing import Any

from bench.peers.datasketch_minhash import prepare as prepare_default
from bench.peers.datasketch_minhash import report, run

__all__ = ["prepare", "report", "run"]


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents, take the faster hash function."""
    import xxhash

    return prepare_default(params) | {"hashfunc": xxhash.xxh32_intdigest}

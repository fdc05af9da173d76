r"""Read Megatron's indexed token files: one `.bin` of token ids and one `.idx` that says where documents are.

Layout of `.idx` (little endian; megatron/core/datasets/indexed_dataset.py): magic `MMIDIDX\0\0`, version
(uint64, 1), dtype code (uint8), sequence count (uint64), document count (uint64), sequence lengths (int32),
byte pointers (int64), document indices (int64, first sequence of each document and one past the last).
The shards of a run are read as one array: **global token offsets** run on from shard to shard.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from training_jobs.errors import TokenFileError

MAGIC: Final = b"MMIDIDX\x00\x00"
VERSION: Final = 1
_HEADER: Final = np.dtype([("version", "<u8"), ("code", "u1"), ("sequences", "<u8"), ("documents", "<u8")])
_DTYPES: Final = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}


@dataclass(frozen=True)
class TokenShard:
    """One `.bin`/`.idx` pair: its tokens, memory-mapped."""

    prefix: Path
    tokens: npt.NDArray[np.generic]


def open_shard(prefix: Path) -> TokenShard:
    """Map the shard at `prefix` (path without suffix). Raises TokenFileError saying what is wrong."""
    index = Path(f"{prefix}.idx")
    try:
        raw = index.read_bytes()
        size = Path(f"{prefix}.bin").stat().st_size
    except OSError as error:
        raise TokenFileError(f"{prefix}: cannot read the token shard: {error}") from error
    if not raw.startswith(MAGIC) or len(raw) < len(MAGIC) + _HEADER.itemsize:
        raise TokenFileError(f"{index}: not an indexed token file: it starts with {raw[:9]!r}, not {MAGIC!r}")
    header = np.frombuffer(raw, _HEADER, count=1, offset=len(MAGIC))[0]
    version, code = int(header["version"]), int(header["code"])
    if version != VERSION or code not in _DTYPES:
        raise TokenFileError(f"{index}: version {version} with dtype code {code} is not supported")
    sequences, documents = int(header["sequences"]), int(header["documents"])
    offset = len(MAGIC) + _HEADER.itemsize
    expected = offset + 12 * sequences + 8 * documents
    if len(raw) != expected:
        raise TokenFileError(f"{index}: {len(raw)} bytes, expected {expected} for {sequences} sequences")
    lengths = np.frombuffer(raw, "<i4", sequences, offset).astype(np.int64)
    pointers = np.frombuffer(raw, "<i8", sequences, offset + 4 * sequences)
    document_sequences = np.frombuffer(raw, "<i8", documents, offset + 12 * sequences)
    dtype = np.dtype(_DTYPES[code])
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    if not np.array_equal(pointers, starts[:-1] * dtype.itemsize) or size != int(starts[-1]) * dtype.itemsize:
        raise TokenFileError(f"{prefix}: .bin ({size} bytes) and .idx disagree; write the shard again")
    if documents and (document_sequences.min() < 0 or document_sequences.max() > sequences):
        raise TokenFileError(f"{index}: a document points outside its {sequences} sequences")
    tokens = np.memmap(f"{prefix}.bin", dtype, mode="r") if size else np.zeros(0, dtype)
    return TokenShard(prefix, tokens)


class IndexedTokens:
    """Several token shards, read as one array of `total` tokens."""

    def __init__(self, prefixes: Sequence[Path]) -> None:
        self.shards = tuple(open_shard(prefix) for prefix in prefixes)
        sizes = [len(shard.tokens) for shard in self.shards]
        self._starts = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]

    @property
    def total(self) -> int:
        """Tokens in all shards."""
        return int(self._starts[-1])

    def read(self, start: int, end: int) -> npt.NDArray[np.int64]:
        """Return the tokens of the half-open range of global offsets. Raises IndexError outside 0..total."""
        if not 0 <= start <= end <= self.total:
            raise IndexError(f"tokens {start}..{end} are outside 0..{self.total}")
        values = np.empty(end - start, np.int64)
        shard, filled = bisect_right(self._starts, start) - 1, 0
        while filled < len(values):
            offset = start + filled - self._starts[shard]
            part = self.shards[shard].tokens[offset : offset + len(values) - filled]
            values[filled : filled + len(part)] = part
            filled += len(part)
            shard += 1
        return values

    def windows(self, starts: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
        """Return one row of `length` tokens for each global offset in `starts`."""
        return np.stack([self.read(int(start), int(start) + length) for start in starts])

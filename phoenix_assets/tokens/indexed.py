"""Megatron's indexed dataset: token ids end to end in `<prefix>.bin`, document bounds in `<prefix>.idx`.

Layout of the index, little-endian (Megatron-Core 0.16, `core/datasets/indexed_dataset.py`): magic MMIDIDX and
two zero bytes, version 1 (uint64), number format (uint8), count of sequences (uint64), count of document
bounds (uint64), lengths (int32), byte offsets (int64), document bounds (int64, from 0). Here each document is
one sequence. Files are written under temporary names and renamed when whole, the index last: a prefix with an
index is complete.
"""

import struct
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from phoenix_assets.errors import LineageError

KERNEL_VERSION: Final = "1"

TokenArray = npt.NDArray[Any]  # of uint16 or int32, by vocabulary size
TokenDType = np.dtype[Any]

_MAGIC: Final = b"MMIDIDX\x00\x00"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<9sQBQQ")
_UINT16_VOCABULARY: Final = 65500  # Megatron's own bound: vocabularies below it are stored in 16 bits
_CODES: Final[dict[TokenDType, int]] = {np.dtype(np.int32): 4, np.dtype(np.uint16): 8}
_DTYPES: Final = {code: dtype for dtype, code in _CODES.items()}


@dataclass(frozen=True)
class IndexedTokens:
    """An indexed dataset that was opened for reading; `tokens` stays on disk until it is touched."""

    tokens: TokenArray  # all ids, memory-mapped
    lengths: npt.NDArray[np.int32]  # tokens of each document
    starts: npt.NDArray[np.int64]  # where each document begins in `tokens`

    def document(self, position: int) -> TokenArray:
        """Return the ids of the document at `position`."""
        start = int(self.starts[position])
        return self.tokens[start : start + int(self.lengths[position])]


def token_dtype(vocab_size: int) -> TokenDType:
    """Return the number format for ids of a vocabulary of that size: uint16 if they fit, else int32."""
    return np.dtype(np.uint16) if vocab_size < _UINT16_VOCABULARY else np.dtype(np.int32)


class IndexedWriter:
    """Writes one indexed dataset. As a context manager it leaves nothing after an error."""

    def __init__(self, prefix: Path, dtype: TokenDType) -> None:
        self._prefix, self._dtype = prefix, dtype
        self._lengths: list[npt.NDArray[np.int32]] = []
        self._part = _suffixed(prefix, ".bin.part")
        self._file = self._part.open("wb")

    def add(self, ids: TokenArray, lengths: npt.NDArray[np.integer]) -> None:
        """Append documents: their ids end to end, and the length of each.

        Raises ValueError when they do not agree, or a number does not fit its format.
        """
        if len(lengths) and int(lengths.max()) > np.iinfo(np.int32).max:
            raise ValueError(
                f"{self._prefix}: a document of {int(lengths.max())} tokens does not fit the index; split it"
            )
        if int(lengths.sum(dtype=np.int64)) != len(ids):
            raise ValueError(
                f"{self._prefix}: lengths sum to {int(lengths.sum())}, but there are {len(ids)} ids"
            )
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) <= np.iinfo(self._dtype).max:
            raise ValueError(
                f"{self._prefix}: ids {int(ids.min())} … {int(ids.max())} do not fit {self._dtype}: the tokenizer's "
                "vocabulary decides the format"
            )
        ids.astype(self._dtype).tofile(self._file)
        self._lengths.append(lengths.astype(np.int32))

    def close(self) -> None:
        """Write the index and give both files their names."""
        self._file.close()
        index = _suffixed(self._prefix, ".idx.part")
        write_index(index, np.concatenate([np.empty(0, dtype=np.int32), *self._lengths]), self._dtype)
        _suffixed(self._prefix, ".idx").unlink(missing_ok=True)
        self._part.replace(_suffixed(self._prefix, ".bin"))
        index.replace(_suffixed(self._prefix, ".idx"))

    def discard(self) -> None:
        """Give up: remove what was written so far."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()


def write_index(path: Path, lengths: npt.NDArray[np.int32], dtype: TokenDType) -> None:
    """Write an `.idx` at `path` for documents of these lengths."""
    with path.open("wb") as file:
        file.write(_HEADER.pack(_MAGIC, _VERSION, _CODES[dtype], len(lengths), len(lengths) + 1))
        lengths.astype("<i4").tofile(file)
        (_starts(lengths) * dtype.itemsize).astype("<i8").tofile(file)
        np.arange(len(lengths) + 1, dtype="<i8").tofile(file)


@dataclass(frozen=True)
class DocumentIndex:
    """The `.idx` of an indexed dataset, memory-mapped: nothing is read before it is asked for."""

    dtype: TokenDType
    lengths: npt.NDArray[np.int32]  # tokens of each document
    byte_offsets: npt.NDArray[np.int64]  # of each document in `.bin`; not aligned in memory

    @property
    def tokens(self) -> int:
        """Tokens of all documents."""
        last = len(self.lengths) - 1
        return (
            int(self.byte_offsets[last]) // self.dtype.itemsize + int(self.lengths[last]) if last >= 0 else 0
        )

    def position(self, offset: int) -> int:
        """Return the position of the document that holds the token at `offset`, by binary search."""
        return bisect_right(self.byte_offsets, offset * self.dtype.itemsize) - 1

    def start(self, position: int) -> int:
        """Return the offset of a document's first token."""
        return int(self.byte_offsets[position]) // self.dtype.itemsize


def open_index(prefix: Path) -> DocumentIndex:
    """Map the index at `prefix`. Raises LineageError for a missing, foreign or cut file."""
    path = _suffixed(prefix, ".idx")
    try:
        index = np.memmap(path, dtype=np.uint8, mode="r")
    except FileNotFoundError as error:
        raise LineageError(f"{path}: no such token shard; materialise the tokens again") from error
    except ValueError as error:
        raise _cut_short(prefix, f"the index is empty ({error})") from error
    magic, version, code, sequences, bounds = _HEADER.unpack(
        bytes(index[: _HEADER.size]).ljust(_HEADER.size, b"\x00")
    )
    if magic != _MAGIC or version != _VERSION or code not in _DTYPES:
        raise LineageError(f"{path}: not an index of uint16 or int32 tokens, version {_VERSION}")
    if len(index) != _HEADER.size + sequences * 12 + bounds * 8:
        raise _cut_short(prefix, f"the index names {sequences} documents in {len(index)} bytes")
    lengths = np.ndarray((sequences,), "<i4", index, _HEADER.size)
    offsets = np.ndarray((sequences,), "<i8", index, _HEADER.size + 4 * sequences)
    return DocumentIndex(_DTYPES[code], lengths, offsets)


def read_indexed(prefix: Path) -> IndexedTokens:
    """Open the indexed dataset at `prefix`. Raises LineageError for a missing, foreign or cut file."""
    index, path = open_index(prefix), _suffixed(prefix, ".bin")
    try:
        stored = path.stat().st_size
    except FileNotFoundError as error:
        raise LineageError(f"{path}: no such token shard; materialise the tokens again") from error
    lengths = index.lengths.copy()
    tokens = int(lengths.sum(dtype=np.int64))
    if stored != tokens * index.dtype.itemsize:
        raise _cut_short(prefix, f"the index counts {tokens} tokens, but .bin has {stored} bytes")
    mapped = np.memmap(path, dtype=index.dtype, mode="r") if tokens else np.empty(0, dtype=index.dtype)
    return IndexedTokens(mapped, lengths, _starts(lengths))


def _cut_short(prefix: Path, finding: str) -> LineageError:
    return LineageError(
        f"{prefix}: {finding}; a file was cut short or exchanged: materialise the tokens again"
    )


def _starts(lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    ends = np.cumsum(lengths, dtype=np.int64)
    return ends - lengths


def _suffixed(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)

"""The trace index: which document each token of the shards belongs to, in 20 bytes a document or less.

Beside `<prefix>.bin` and `<prefix>.idx` lies `<prefix>.docs.npy`: for each document of the shard its id in 16
bytes, and its **origin**, a row of `<split>-origins.parquet`. There stands all that many documents share:
source, delivery, component, language, which copy it is, of how many. Where a document's tokens begin is
looked up in `.idx`, so nothing is stored twice. All is memory-mapped: a look-up is a binary search.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from phoenix_assets.errors import LineageError
from phoenix_assets.tokens.indexed import DocumentIndex, open_index

KERNEL_VERSION: Final = "1"

_ORIGIN: Final = {
    "source": pl.String,
    "delivery": pl.String,
    "component": pl.String,
    "lang": pl.String,
    "copies": pl.Int32,  # how many times the split holds the document
    "copy": pl.Int32,  # 0 for the first of them
}
ORIGIN: Final = pl.Schema(_ORIGIN)
TRACE: Final = pl.Schema(
    {
        "split": pl.String,
        "shard": pl.Int32,
        "position": pl.Int64,  # of the document within its shard
        "doc_id": pl.String,
        **_ORIGIN,
        "offset": pl.Int64,  # of the first token within the split, shards end to end
        "tokens": pl.Int64,  # with the end of document
    }
)

_ID_BYTES: Final = 16
_BYTE: Final = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], dtype=np.uint8)


def documents_file(prefix: Path) -> Path:
    """Return where the trace index of a shard lies."""
    return prefix.with_name(f"{prefix.name}.docs.npy")


def origins_file(folder: Path, split: str) -> Path:
    """Return where the origins of a split's documents lie."""
    return folder / f"{split}-origins.parquet"


def with_origins(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `rows` (the columns of ORIGIN and more) with their `origin`, and the origins in its order."""
    origins = rows.select(ORIGIN.names()).unique().sort(ORIGIN.names())
    width = np.min_scalar_type(max(origins.height - 1, 0))
    numbers = origins.with_columns(origin=pl.Series(np.arange(origins.height, dtype=width)))
    return rows.join(numbers, on=ORIGIN.names(), nulls_equal=True, maintain_order="left"), origins


def write_documents(prefix: Path, doc_ids: pl.Series, origins: pl.Series) -> None:
    """Write a shard's part of the trace index. Raises LineageError for an id that is not 32 hex digits."""
    wrong = doc_ids.filter(~doc_ids.str.contains(r"^[0-9a-f]{32}$").fill_null(False))
    if len(wrong):
        raise LineageError(
            f"doc_id {wrong[0]!r} is not 32 hex digits; ids come from phoenix_assets.schema.document_id"
        )
    codes = origins.to_numpy()
    rows = np.empty(len(doc_ids), dtype=[("doc_id", np.uint8, (_ID_BYTES,)), ("origin", codes.dtype)])
    rows["doc_id"] = np.frombuffer(b"".join(doc_ids.str.decode("hex").to_list()), dtype=np.uint8).reshape(
        -1, _ID_BYTES
    )
    rows["origin"] = codes
    np.save(documents_file(prefix), rows, allow_pickle=False)


@dataclass(frozen=True)
class Overlap:
    """The part of one document that lies in a range of tokens."""

    shard: int
    position: int  # of the document within the shard
    offset: int  # of the part's first token within the document
    tokens: int


@dataclass(frozen=True)
class _Shard:
    index: DocumentIndex
    documents: npt.NDArray[Any]


class TraceIndex:
    """The trace index of one split in `folder`. Raises LineageError when a file is missing or cut short.

    With `starts`, as the same index had them before, a shard is opened only when something of it is asked for.
    """

    def __init__(self, folder: Path, split: str, starts: Sequence[int] | None = None) -> None:
        self.split = split
        self.prefixes = [path.with_suffix("") for path in sorted(folder.glob(f"{split}-?????.idx"))]
        self.origins = pl.read_parquet(origins_file(folder, split)) if self.prefixes else ORIGIN.to_frame()
        self._opened: dict[int, _Shard] = {}
        if starts is None or len(starts) != len(self.prefixes) + 1:
            sizes = [shard.index.tokens for shard in self._shards]
            starts = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]
        self.starts = starts  # of each shard's tokens in the split, and the end of the last one

    @property
    def tokens(self) -> int:
        """Tokens of the split."""
        return int(self.starts[-1])

    @property
    def _shards(self) -> list[_Shard]:
        return [self._shard(number) for number in range(len(self.prefixes))]

    def _shard(self, number: int) -> _Shard:
        if number not in self._opened:
            self._opened[number] = _open_shard(self.prefixes[number])
        return self._opened[number]

    def lengths(self) -> npt.NDArray[np.int32]:
        """Return the tokens of each document, in the order of the shards."""
        return np.concatenate([np.empty(0, np.int32), *(shard.index.lengths for shard in self._shards)])

    def codes(self) -> npt.NDArray[Any]:
        """Return for each document its row in `origins`, in the order of the shards."""
        return np.concatenate([np.empty(0, np.uint8), *(shard.documents["origin"] for shard in self._shards)])

    def doc_ids(self) -> pl.Series:
        """Return the id of each document, in the order of the shards."""
        return pl.concat([pl.Series("doc_id", [], dtype=pl.String), *self.doc_ids_by_shard()])

    def doc_ids_by_shard(self) -> Iterator[pl.Series]:
        """Yield the ids of the documents, shard by shard: those of all take 48 bytes a document."""
        return (_hex(shard.documents["doc_id"]) for shard in self._shards)

    def raw_ids(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the ids of the documents, shard by shard: (documents, 16) bytes."""
        for shard in self._shards:
            yield shard.documents["doc_id"]

    def places(self, positions: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """Return documents, given by their position in the split, as (shard, position)."""
        ends = np.cumsum([len(shard.documents) for shard in self._shards], dtype=np.int64)
        shards = np.searchsorted(ends, positions, side="right")
        firsts = np.concatenate([np.zeros(1, np.int64), ends])[shards]
        return list(zip(shards.tolist(), (positions - firsts).tolist(), strict=True))

    def find(self, doc_id: str) -> pl.DataFrame:
        """Return the TRACE rows of a document; reads through all ids."""
        wanted = np.frombuffer(bytes.fromhex(doc_id), dtype=np.uint8)
        places = [
            (number, int(position))
            for number, shard in enumerate(self._shards)
            for position in np.flatnonzero((shard.documents["doc_id"] == wanted).all(axis=1))
        ]
        return self.rows(places)

    def frame(self) -> pl.DataFrame:
        """Return the TRACE rows of all documents, in the order of the shards."""
        parts = [
            self._rows(number, np.arange(len(shard.documents))) for number, shard in enumerate(self._shards)
        ]
        return pl.concat([TRACE.to_frame(), *parts])

    def rows(self, places: Iterable[tuple[int, int]]) -> pl.DataFrame:
        """Return the TRACE rows of documents given as (shard, position), each once, in the order of the shards."""
        by_shard: dict[int, set[int]] = {}
        for shard, position in places:
            by_shard.setdefault(shard, set()).add(position)
        parts = [self._rows(shard, np.array(sorted(found))) for shard, found in sorted(by_shard.items())]
        return pl.concat([TRACE.to_frame(), *parts])

    def overlaps(self, start: int, end: int) -> Iterator[Overlap]:
        """Yield the parts of documents that hold the tokens `start` … `end` - 1 of the split, in order.

        Raises LineageError for tokens that the split does not have.
        """
        if not 0 <= start <= end <= self.tokens:
            raise LineageError(f"tokens {start} … {end} are outside the {self.tokens} tokens of {self.split}")
        while start < end:
            shard = bisect_right(self.starts, start) - 1
            index, base = self._shard(shard).index, self.starts[shard]
            position = index.position(start - base)
            begin = base + index.start(position)
            until = min(end, begin + int(index.lengths[position]))
            yield Overlap(shard, position, start - begin, until - start)
            start = until

    def _rows(self, number: int, positions: npt.NDArray[np.int64]) -> pl.DataFrame:
        shard = self._shard(number)
        documents = shard.documents[positions]
        starts = shard.index.byte_offsets[positions] // shard.index.dtype.itemsize
        columns = self.origins[documents["origin"].astype(np.int64)].with_columns(
            split=pl.lit(self.split),
            shard=pl.lit(number),
            position=pl.Series(positions),
            doc_id=_hex(documents["doc_id"]),
            offset=pl.Series(self.starts[number] + starts),
            tokens=pl.Series(shard.index.lengths[positions]),
        )
        return columns.select(pl.col(name).cast(kind) for name, kind in TRACE.items())


def _open_shard(prefix: Path) -> _Shard:
    index, path = open_index(prefix), documents_file(prefix)
    try:
        documents = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise LineageError(f"{path}: no trace index: {error}; materialise the tokens again") from error
    if len(documents) != len(index.lengths):
        raise LineageError(
            f"{path}: {len(documents)} documents, the shard has {len(index.lengths)}; materialise the tokens again"
        )
    return _Shard(index, documents)


def _hex(ids: npt.NDArray[np.uint8]) -> pl.Series:
    """Return rows of 16 bytes as 32 hex digits each."""
    digits = _BYTE[ids].reshape(-1)
    bounds = np.arange(len(ids) + 1, dtype=np.int64) * 2 * _ID_BYTES
    return pl.Series(
        "doc_id", pa.LargeStringArray.from_buffers(len(ids), pa.py_buffer(bounds), pa.py_buffer(digits))
    )

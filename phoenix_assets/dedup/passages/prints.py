"""The prints of a document and its passages as one Binary value, and blocks of an index's rows made of them.

The model: in an index a document is a row of its own, its *head*, and right behind it a row for each passage that is
compared. A print has a hash in four places, a number of letters and a count: a passage's own letters and its place in
the document, from 1; of a head no hash, the letters of the whole text and the number of passages.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from phoenix_assets.dedup.passages.split import Passages, Prints
from phoenix_assets.dedup.segments import NO_KEY, Block, Numbers

KERNEL_VERSION: Final = "1"

HASH: Final = slice(0, 4)
LETTERS: Final = 4
COUNT: Final = 5
PLACES: Final = 6
SAME: Final = 5  # places in which the prints of duplicates agree: all but the count
_BYTES: Final = 4 * PLACES


def document_prints(
    passages: Passages, compared: npt.NDArray[np.bool_], languages: pl.Series | None = None
) -> pl.Series:
    """Return a Binary value a text, `prints`: of its head, and of its passages that are `compared`.

    With `languages`, one a text, passages of different languages are never the same.
    """
    owner = passages.texts[compared]
    counts = np.bincount(owner, minlength=len(passages.bounds) - 1)
    heads = np.cumsum(counts) - counts + np.arange(len(counts))
    rows = np.zeros((len(owner) + len(heads), PLACES), np.uint32)
    own = np.arange(len(owner)) + owner + 1
    rows[own, HASH] = passages.hashes[compared]
    rows[own, LETTERS] = passages.letters[compared]
    rows[own, COUNT] = own - heads[owner]
    rows[heads, LETTERS], rows[heads, COUNT] = passages.totals, counts
    if languages is not None:
        rows[own, 0] ^= _codes(languages)[owner]
    return to_values(rows, heads)


def to_values(rows: Prints, heads: Numbers) -> pl.Series:
    """Return the prints of documents that begin at the rows `heads` as a Binary column `prints`, a value a document."""
    offsets = np.append(heads, len(rows)).astype(np.int64) * _BYTES
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))]
    return pl.Series("prints", pa.Array.from_buffers(pa.large_binary(), len(heads), buffers), pl.Binary)


def heads_of(rows: Prints) -> Numbers:
    """Return which rows are heads."""
    return np.flatnonzero(~rows[:, HASH].any(axis=1))


def blocks(frames: Iterable[pl.DataFrame], block_passages: int) -> Iterator[Block]:
    """Yield the documents of frames (doc_id, delivery_number, print) as blocks of rows, whole documents each.

    A block has at most `block_passages` rows, or one document.
    """
    for frame in frames:
        ends = np.cumsum(frame["print"].bin.size().cast(pl.Int64).to_numpy() // _BYTES)
        start = 0
        while start < frame.height:
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + block_passages, side="right")))
            yield _documents(frame.slice(start, stop - start))
            start = stop


def rows_block(ids: npt.NDArray[np.uint8], deliveries: npt.NDArray[np.int32], prints: Prints) -> Block:
    """Return rows as a block; a head has no key."""
    keys = np.ascontiguousarray(prints[:, :2]).view(np.int64)[:, 0]
    return Block(ids, deliveries, prints, np.where(prints[:, HASH].any(axis=1), keys, NO_KEY)[None, :])


def _documents(frame: pl.DataFrame) -> Block:
    rows = np.frombuffer(b"".join(frame["print"]), np.uint32).reshape(-1, PLACES)
    sizes = frame["print"].bin.size().cast(pl.Int64).to_numpy() // _BYTES
    ids = np.frombuffer(bytes.fromhex("".join(frame["doc_id"])), np.uint8).reshape(-1, 16)
    deliveries = frame["delivery_number"].to_numpy().astype(np.int32)
    return rows_block(np.repeat(ids, sizes, axis=0), np.repeat(deliveries, sizes), rows)


def _codes(languages: pl.Series) -> npt.NDArray[np.uint32]:
    """Return a number a language."""
    codes = {code: int.from_bytes(code.encode()[:4], "little") for code in languages.unique()}
    return languages.replace_strict(codes, return_dtype=pl.UInt32).to_numpy()

"""KenLM's models of the type `probing`, read where they lie: the file is mapped into memory, and nothing is copied.

A model is four open-addressed or plain tables, one after the other: words by the hash of their bytes, unigrams by the
number of a word, and n-grams by the hash of their words' numbers: those in the middle, which have a backoff, by order,
and the longest. A slot whose key is 0 is empty. The format is KenLM 0.3.0's (lm/binary_format.cc, lm/vocab.cc,
lm/search_hashed.hh, util/probing_hash_table.hh), in the byte order of the machine.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from phoenix_assets.clean.buffers import Bytes, Hashes
from phoenix_assets.errors import PhoenixError

COUNT: Final = np.dtype("<u8")
VOCABULARY: Final = np.dtype([("version", "<u4"), ("words", "<u4")])
WORD: Final = np.dtype([("key", "<u8"), ("number", "<u4")])
UNIGRAM: Final = np.dtype([("prob", "<f4"), ("backoff", "<f4")])
MIDDLE: Final = np.dtype([("key", "<u8"), ("prob", "<f4"), ("backoff", "<f4")])
LONGEST: Final = np.dtype([("key", "<u8"), ("prob", "<f4")])

# Every binary model begins so: a name, and numbers that tell the byte order and how floats are kept.
SANITY: Final = struct.pack(
    "<56s3f3IQ", b"mmap lm http://kheafield.com/code format version 5\n", 0.0, 1.0, -0.5, 1, 0xFFFFFFFF, 0, 1
)
PARAMETERS: Final = struct.Struct(
    "<B3xfI?3xI"
)  # order, slots per entry, type, has words, version of the type
PROBING: Final = 0
TYPE_VERSION: Final = 0
SMALLEST_ORDER: Final = 2

Table = npt.NDArray[np.void]


@dataclass(frozen=True)
class NgramModel:
    """The tables of a model; those of order n, from 2, are `middle[starts[n - 2] : starts[n - 1]]`."""

    order: int
    words: Table
    unigrams: Table
    middle: Table
    starts: Hashes
    longest: Table

    def tables(self) -> tuple[Any, ...]:
        """Return the tables as the kernels take them."""
        return self.words, self.unigrams, self.middle, self.starts, self.longest


def is_probing(path: Path) -> bool:
    """Return whether the file is a binary model of the type `probing`, and not an ARPA file or one of another type."""
    with path.open("rb") as file:
        head = file.read(len(SANITY) + PARAMETERS.size)
    if not head.startswith(SANITY) or len(head) < len(SANITY) + PARAMETERS.size:
        return False
    kind: int = PARAMETERS.unpack_from(head, len(SANITY))[2]
    return kind == PROBING


def read_model(path: Path) -> NgramModel:
    """Map the model at `path`, of which `is_probing` holds. Raises PhoenixError when its tables are not what it says."""
    data = np.asarray(np.memmap(path, np.uint8, mode="r"))
    order, slots_per_entry, _, _, version = PARAMETERS.unpack(_bytes(data, len(SANITY), PARAMETERS.size))
    begin = len(SANITY) + PARAMETERS.size
    at = _aligned(begin + COUNT.itemsize * order)
    if order < SMALLEST_ORDER or version != TYPE_VERSION or slots_per_entry < 1.0 or len(data) < at:
        raise _unreadable(path, f"order {order}, version {version}, {slots_per_entry} slots per entry")
    counts = np.frombuffer(_bytes(data, begin, COUNT.itemsize * order), COUNT).tolist()
    slots = [max(count + 1, int(np.float32(slots_per_entry) * np.float32(count))) for count in counts]
    layout = (
        (VOCABULARY, 1),
        (WORD, slots[0]),
        (UNIGRAM, counts[0] + 1),  # one more, for an unknown word that was not counted
        (MIDDLE, sum(slots[1:-1])),
        (LONGEST, slots[-1]),
    )
    ends = np.cumsum([at, *(dtype.itemsize * length for dtype, length in layout)]).tolist()
    if len(data) < ends[-1]:
        raise _unreadable(path, f"it has {len(data)} bytes, and its head tells of {ends[-1]}")
    tables = [
        data[start:end].view(dtype) for (dtype, _), (start, end) in zip(layout, pairwise(ends), strict=True)
    ]
    vocabulary, words, unigrams, middle, longest = tables
    if vocabulary["version"][0] != TYPE_VERSION:
        raise _unreadable(path, f"version {vocabulary['version'][0]} of the vocabulary")
    return NgramModel(order, words, unigrams, middle, np.cumsum([0, *slots[1:-1]], dtype=np.uint64), longest)


def _bytes(data: Bytes, start: int, size: int) -> bytes:
    return data[start : start + size].tobytes()


def _aligned(size: int) -> int:
    return (size + 7) // 8 * 8


def _unreadable(path: Path, what: str) -> PhoenixError:
    return PhoenixError(f"{path}: no whole KenLM model ({what}); make it again with KenLM's build_binary")

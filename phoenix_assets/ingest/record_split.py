"""Where records end in a stream of bytes: JSON values, and lines of CSV, whose quoted fields may hold line ends.

A scanner walks over a block of bytes, keeps its state from block to block and says where records end; a record over
the limit is dropped while it is read. So memory stays bounded, and a record that cannot be parsed costs itself alone.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.ingest.streams import BLOCK_BYTES
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Scanner = Callable[[Bytes, Ints, Ints], int]

_SCANNED_BYTES: Final = BLOCK_BYTES // 4
_WHITE_SPACE: Final = b" \t\r\n"
_CLOSED: Final = 4  # in the state of `_json_ends`


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the stream's bytes in blocks."""
    while block := stream.read(_SCANNED_BYTES):
        yield block


def json_values(pieces: Iterable[bytes], max_bytes: int) -> Iterator[bytes | None]:
    """Yield the bytes of each element of an array, or of each object of a stream that is no array.

    None stands for a value over `max_bytes`. Raises RecordRejected (truncated, corrupt), after the elements before,
    if the array is not closed or something follows it.
    """
    rest = iter(pieces)
    head = next((start for piece in rest if (start := piece.lstrip(_WHITE_SPACE))), b"")
    is_array = head.startswith(b"[")
    state = np.array([is_array, is_array, 0, 0, 0], np.int64)
    for value, whole in _split(chain([head[is_array:]], rest), _json_ends, state, max_bytes):
        if is_array and not whole:
            _refuse_rest(value, closed=bool(state[_CLOSED]))
        elif value is None or (value := value[: len(value) - is_array]).strip(_WHITE_SPACE):
            yield value


def csv_records(pieces: Iterable[bytes], delimiter: str, max_bytes: int) -> Iterator[bytes | None]:
    """Yield the bytes of each record of a CSV stream (RFC 4180), None for one over `max_bytes`."""
    state = np.array([ord(delimiter), 1, 0, 0], np.int64)
    for record, whole in _split(pieces, _csv_ends, state, max_bytes):
        if record is None or whole or record:
            yield record


def _split(
    pieces: Iterable[bytes], scan: Scanner, state: Ints, max_bytes: int
) -> Iterator[tuple[bytes | None, bool]]:
    """Yield (record, True) for each that `scan` sees ending, then (rest, False); None if over `max_bytes`."""
    parts: list[bytes] = []
    size = 0
    ends = np.empty(_SCANNED_BYTES, np.int64)
    for piece in pieces:
        start = 0
        for end in ends[: scan(np.frombuffer(piece, np.uint8), state, ends)].tolist():
            size += end - start
            yield (b"".join([*parts, piece[start:end]]) if size <= max_bytes else None), True
            parts, size, start = [], 0, end
        size += len(piece) - start
        if size <= max_bytes:
            parts.append(piece[start:])
        else:
            parts.clear()
    yield (b"".join(parts) if size <= max_bytes else None), False


def _refuse_rest(rest: bytes | None, *, closed: bool) -> None:
    if not closed:
        raise RecordRejected(RejectReason.TRUNCATED, "the file ends within the JSON array")
    if rest is None or rest.strip(_WHITE_SPACE):
        raise RecordRejected(RejectReason.CORRUPT, "something follows the JSON array")


@njit(cache=True, nogil=True)
def _json_ends(block: Bytes, state: Ints, ends: Ints) -> int:
    """Put into `ends` where values end, their separator included; return how many.

    State: depth outside of values, depth, within a string, behind a backslash, array closed.
    """
    outer, depth, quoted, escaped, closed = state
    found = 0
    for at in range(len(block)):
        byte = block[at]
        if closed:
            break
        if quoted:
            if escaped:
                escaped = 0
            elif byte == ord("\\"):
                escaped = 1
            elif byte == ord('"'):
                quoted = 0
        elif byte == ord('"'):
            quoted = 1
        elif byte == ord("{") or byte == ord("["):
            depth += 1
        elif byte == ord("}") or byte == ord("]"):
            depth = max(depth - 1, 0)
            closed = depth < outer
            if depth == 0:
                ends[found] = at + 1
                found += 1
        elif byte == ord(",") and outer == 1 and depth == 1:
            ends[found] = at + 1
            found += 1
    state[:] = outer, depth, quoted, escaped, closed
    return found


@njit(cache=True, nogil=True)
def _csv_ends(block: Bytes, state: Ints, ends: Ints) -> int:
    """Put into `ends` where records end, their line end included; return how many.

    State: delimiter, at a field's start, within quotes, behind a closing quote. A quote within a field that does not
    begin with one is a character like any other.
    """
    delimiter, starts, quoted, behind = state
    found = 0
    for at in range(len(block)):
        byte = block[at]
        if quoted:
            if byte == ord('"'):
                quoted, behind = 0, 1
        elif byte == ord('"') and (starts or behind):
            quoted, starts, behind = 1, 0, 0
        elif byte == ord("\n"):
            ends[found] = at + 1
            found += 1
            starts, behind = 1, 0
        else:
            starts, behind = (1 if byte == delimiter else 0), 0
    state[:] = delimiter, starts, quoted, behind
    return found

"""One pass over a gzip file of many members: the CRC of every member, and the SHA-256 of the whole.

A WARC file is a gzip member a record, so a file cut at a member's end looks complete to gzip: compare its size too.
"""

import hashlib
import zlib
from pathlib import Path
from typing import Any, Final

from phoenix_assets.ingest.retries import DamagedError
from phoenix_assets.ingest.streams import GZIP_WBITS

_BLOCK_BYTES: Final = 2**18  # what follows a member in a block is copied: smaller blocks copy less


def checked_sha256(path: Path, *, max_expansion: float) -> str:
    """Return the SHA-256 of a gzip file whose members are all whole; memory stays bounded.

    Raises DamagedError: a CRC or length is wrong, the file ends within a member or is no gzip file, or it unpacks to
    more than `max_expansion` times its size.
    """
    digest = hashlib.sha256()
    members = _Members()
    size = path.stat().st_size
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            try:
                members.feed(block)
            except zlib.error as error:
                raise DamagedError(f"{path.name} is damaged before byte {stream.tell()}: {error}") from error
            if members.produced > max_expansion * size:
                raise DamagedError(f"{path.name}: {size} bytes unpack to more than {members.produced}")
    if not members.complete:
        raise DamagedError(f"{path.name} ends within a gzip member")
    return digest.hexdigest()


class _Members:
    """Unpacks members one after another and keeps nothing of them."""

    def __init__(self) -> None:
        self.produced = 0
        self._member: Any = None
        self._first = True

    @property
    def complete(self) -> bool:
        """Whether the bytes so far are one or more whole members."""
        return self._member is None and not self._first

    def feed(self, block: bytes) -> None:
        """Unpack the next bytes. Raises zlib.error."""
        full = False  # zlib may hold back output when it has read all input
        while block or full:
            if self._member is None:
                block = block if self._first else block.lstrip(b"\0")  # padding between members
                if not block:
                    return
                self._member, self._first = zlib.decompressobj(wbits=GZIP_WBITS), False
            count = len(self._member.decompress(block, _BLOCK_BYTES))
            self.produced += count
            if self._member.eof:
                block, full, self._member = self._member.unused_data, False, None
            else:
                block, full = self._member.unconsumed_tail, count == _BLOCK_BYTES

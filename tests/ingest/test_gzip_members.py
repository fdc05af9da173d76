"""A gzip file of many members is whole only if every one of them is."""

import bz2
import gzip
import hashlib
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.ingest.gzip_members import checked_sha256
from phoenix_assets.ingest.retries import DamagedError
from phoenix_assets.ingest.streams import peek

NOISE = random.Random(1).randbytes(700_000)


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def check(folder: Path, content: bytes, max_expansion: float = 200) -> str:
    path = folder / "a.warc.gz"
    path.write_bytes(content)
    return checked_sha256(path, max_expansion=max_expansion)


@pytest.mark.parametrize(
    "content",
    [
        packed(b"one") + packed(b"two"),
        packed(b"") + packed(NOISE) + packed(b"end"),
        packed(b"padded") + b"\0" * 600_000 + packed(b"more") + b"\0",
        packed(b"abc" * 400_000),  # more output than one block, from little input
    ],
)
def test_whole_members_give_the_hash_of_the_file(tmp_path: Path, content: bytes) -> None:
    assert check(tmp_path, content, 2000) == hashlib.sha256(content).hexdigest()


@given(st.data())
def test_a_flipped_bit_is_found_unless_it_means_nothing(tmp_path_factory, data) -> None:
    member = packed(NOISE[:3000].hex().encode())
    content = bytearray(member + member)
    place = data.draw(st.integers(10, len(member) - 1))  # behind the header, which no CRC covers
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        check(tmp_path_factory.mktemp("flipped"), bytes(content))
    except DamagedError:
        return
    assert gzip.decompress(bytes(content)) == gzip.decompress(member + member)  # a bit between two blocks


@pytest.mark.parametrize("content", [b"", b"<html>busy</html>", b"\0\0", packed(b"a") + b"junk"])
def test_what_is_not_gzip_throughout_is_damaged(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DamagedError):
        check(tmp_path, content)


@pytest.mark.parametrize("cut", [1, 8, 9, 300_000])
def test_a_file_that_ends_within_a_member_is_damaged(tmp_path: Path, cut: int) -> None:
    with pytest.raises(DamagedError, match="ends within"):
        check(tmp_path, (gzip.compress(b"a") + gzip.compress(NOISE))[:-cut])


def test_a_bomb_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match="unpack to more"):
        check(tmp_path, gzip.compress(bytes(5_000_000)))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_look_at_a_file_goes_over_the_ends_of_its_members(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    members = [b"%04d" % number * 1000 for number in range(100)]
    (tmp_path / "a").write_bytes(b"".join(map(pack, members)))
    assert peek(tmp_path / "a", 50_000) == b"".join(members)[:50_000]

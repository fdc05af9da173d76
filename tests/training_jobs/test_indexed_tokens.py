from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_jobs.errors import TokenFileError
from training_jobs.indexed_tokens import IndexedTokens, open_shard


def test_shards_read_as_one_array_with_documents_at_global_offsets(token_folder: Path) -> None:
    tokens = IndexedTokens([token_folder / "train-00", token_folder / "train-01"])
    parts = [np.fromfile(token_folder / f"train-0{i}.bin", "<u2") for i in range(2)]
    whole = np.concatenate(parts).astype(np.int64)
    assert tokens.total == len(whole)
    assert np.array_equal(tokens.read(0, tokens.total), whole)
    border = len(parts[0])
    assert np.array_equal(tokens.read(border - 3, border + 3), whole[border - 3 : border + 3])


def test_any_slice_equals_the_slice_of_the_joined_tokens(token_folder: Path) -> None:
    tokens = IndexedTokens(
        [token_folder / "train-00", token_folder / "validation", token_folder / "train-01"]
    )
    whole = tokens.read(0, tokens.total)

    @given(st.integers(0, tokens.total), st.integers(0, tokens.total))
    def check(one: int, other: int) -> None:
        start, end = min(one, other), max(one, other)
        assert np.array_equal(tokens.read(start, end), whole[start:end])

    check()


def test_reading_past_the_end_is_an_error(token_folder: Path) -> None:
    tokens = IndexedTokens([token_folder / "validation"])
    with pytest.raises(IndexError, match="outside"):
        tokens.read(0, tokens.total + 1)


def test_a_truncated_bin_file_is_refused(token_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.idx").write_bytes((token_folder / "train-00.idx").read_bytes())
    (tmp_path / "cut.bin").write_bytes((token_folder / "train-00.bin").read_bytes()[:-2])
    with pytest.raises(TokenFileError, match="disagree"):
        open_shard(tmp_path / "cut")


def test_a_foreign_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.idx").write_bytes(b"PK\x03\x04" + bytes(60))
    (tmp_path / "other.bin").write_bytes(b"")
    with pytest.raises(TokenFileError, match="not an indexed token file"):
        open_shard(tmp_path / "other")

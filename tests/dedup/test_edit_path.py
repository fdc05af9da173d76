"""The mates of tokens: the longest common subsequence where differences are few, a common one in any case."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.edit_path import mates

tokens = st.lists(st.integers(0, 3), max_size=12)


def pairs(left: list[int], right: list[int], differences: int) -> list[tuple[int, int]]:
    found = mates(np.array(left, np.int64), np.array(right, np.int64), differences=differences)
    return [(place, mate) for place, mate in enumerate(found.tolist()) if mate >= 0]


def longest_common(left: list[int], right: list[int]) -> int:
    """Return the length of the longest common subsequence, by the textbook's table."""
    lengths = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            lengths[i + 1][j + 1] = (
                lengths[i][j] + 1 if one == other else max(lengths[i][j + 1], lengths[i + 1][j])
            )
    return lengths[-1][-1]


@settings(deadline=None)  # the kernel is compiled in the first example
@given(tokens, tokens)
def test_the_mates_are_a_longest_common_subsequence(left, right):
    assert len(pairs(left, right, differences=24)) == longest_common(left, right)


@settings(deadline=None)
@given(tokens, tokens, st.integers(1, 4))
def test_mates_are_equal_and_ascend_however_many_the_differences(left, right, differences):
    found = pairs(left, right, differences)
    assert all(left[place] == right[mate] for place, mate in found)
    mate = [mate for _, mate in found]
    assert mate == sorted(set(mate))


def test_a_long_insertion_does_not_lose_what_follows_it():
    left = list(range(1000))
    right = left[:500] + list(range(5000, 9000)) + left[500:]
    assert [mate for _, mate in pairs(left, right, differences=10)] == [*range(500), *range(4500, 5000)]


@pytest.mark.parametrize("alphabet", [2, 1000])
def test_many_scattered_changes_are_followed_to_the_end(alphabet):
    left = np.random.default_rng(0).integers(0, alphabet, 200_000)
    right = left.copy()
    right[::100] = -1
    assert (mates(left, right, differences=100) >= 0).mean() == 0.99

"""The unigram baseline against its definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.train.unigram import unigram_cross_entropy


def test_a_count_is_smoothed_by_one():
    loss = unigram_cross_entropy(np.array([3, 0, 1]), np.array([0, 1, 1], np.uint16))
    assert loss == pytest.approx(-(math.log(4 / 7) + 2 * math.log(1 / 7)) / 3)


def test_without_training_every_token_is_equally_likely():
    assert unigram_cross_entropy(np.zeros(8, np.int64), np.arange(8)) == pytest.approx(math.log(8))


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20))
def test_no_distribution_predicts_its_own_sample_worse_than_the_uniform_one(counts):
    ids = np.repeat(np.arange(len(counts)), counts)
    if len(ids):
        assert unigram_cross_entropy(np.array(counts), ids) <= math.log(len(counts)) + 1e-9


def test_ids_outside_the_vocabulary_are_refused_and_no_ids_have_no_loss():
    with pytest.raises(ValueError, match="0 … 3 do not fit the 3 training counts"):
        unigram_cross_entropy(np.zeros(3, np.int64), np.array([0, 3]))
    assert math.isnan(unigram_cross_entropy(np.zeros(3, np.int64), np.array([], np.int64)))

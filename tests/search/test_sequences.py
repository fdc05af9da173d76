"""The data of a proxy: each component's share of every stretch of the run, and sequences of one component each."""

import numpy as np
import pytest

from phoenix_assets.errors import ConfigError
from phoenix_assets.search.sequences import mix_sequences, strands

LENGTHS = np.array([5, 7, 9, 4, 6, 8], np.int32)
KINDS = np.array([0, 1, 0, 2, 1, 0], np.uint8)
OWNER = np.repeat(KINDS, LENGTHS)  # the kind of each token


def mixed(counts, length=4, seed=1):
    sources = strands(LENGTHS, KINDS, 3, (sum(counts) + 1) * length)
    return mix_sequences(
        sources,
        np.array(counts),
        sequence_length=length,
        global_batch=4,
        data_tokens=int(LENGTHS.sum()),
        seed=seed,
    )


def tokens_of(plan, sequence):
    return [token for span in plan.spans(sequence, targets=True) for token in range(*span)]


def test_a_strand_holds_the_first_documents_of_its_kind_as_many_as_are_needed():
    first = strands(LENGTHS, KINDS, 3, 6)[0]
    assert first.starts.tolist() == [0, 12] and first.lengths.tolist() == [5, 9]
    assert strands(LENGTHS, KINDS, 3, 100)[0].tokens == 22


def test_every_sequence_is_of_one_kind_to_its_last_target():
    made = mixed([5, 2, 1])
    assert len(made.plan.places) == 8
    for sequence in made.plan.places.tolist():
        owners = OWNER[tokens_of(made.plan, sequence)]
        assert len(owners) == 5
        assert set(owners) == {made.kinds[sequence]}


def test_a_strand_is_served_from_its_start_without_gaps_and_comes_again_when_it_is_short():
    made = mixed([0, 0, 3])
    served = sorted(made.plan.places.tolist())
    stream = [token for sequence in served for token in tokens_of(made.plan, sequence)[:-1]]
    assert stream == [21, 22, 23, 24] * 3


def test_each_global_batch_has_the_mixture_s_proportions():
    made = mixed([8, 4, 4])
    for step in range(1, 5):
        assert sorted(made.kinds[made.plan.batch(step)].tolist()) == [0, 0, 1, 2]


def test_plans_are_the_same_for_the_same_seed_and_documents_are_shuffled_by_another():
    same, again, other = mixed([8, 4, 4]), mixed([8, 4, 4]), mixed([8, 4, 4], seed=2)
    assert same.plan.header == again.plan.header
    assert same.plan.header.fingerprint != other.plan.header.fingerprint
    assert sorted(same.plan.places) == sorted(other.plan.places)


def test_sequences_of_a_kind_without_documents_are_refused():
    sources = strands(LENGTHS, KINDS, 4, 100)
    with pytest.raises(ConfigError, match="without training tokens"):
        mix_sequences(
            sources, np.array([1, 1, 1, 1]), sequence_length=4, global_batch=4, data_tokens=39, seed=1
        )

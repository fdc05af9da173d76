"""Signatures against exact Jaccard similarity, with datasketch beside them."""

import functools

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash

from phoenix_assets.dedup.minhash import from_binary, signatures, similarity, to_binary
from phoenix_assets.dedup.shingles import shingle_hashes
from phoenix_assets.errors import LineageError


def sets_of(text: pl.Series, config) -> list[set[int]]:
    values, ends = shingle_hashes(text, config.shingle)
    return [set(values[ends[row] : ends[row + 1]].tolist()) for row in range(len(text))]


def exact_jaccard(pairs: pl.DataFrame, config) -> np.ndarray:
    sets = zip(sets_of(pairs["text"], config), sets_of(pairs["other"], config), strict=True)
    return np.array([len(left & right) / len(left | right) for left, right in sets])


def test_the_estimate_is_unbiased_and_as_sharp_as_theory_says(edited_pairs, signature_config):
    exact = exact_jaccard(edited_pairs, signature_config)
    left, right = (signatures(edited_pairs[name], signature_config) for name in ("text", "other"))
    error = similarity(left, right) - exact
    deviation = np.sqrt(exact * (1 - exact) / signature_config.permutations)
    assert abs(error.mean()) < 0.01
    assert np.sqrt((error**2).mean()) < 1.2 * np.sqrt((deviation**2).mean())


def test_the_estimate_errs_no_more_than_datasketch(edited_pairs, signature_config):
    pairs = edited_pairs[::5]
    exact = exact_jaccard(pairs, signature_config)
    ours = similarity(*(signatures(pairs[name], signature_config) for name in ("text", "other")))
    theirs = []
    for sets in zip(*(sets_of(pairs[name], signature_config) for name in ("text", "other")), strict=True):
        sketches = [MinHash(num_perm=signature_config.permutations, seed=1) for _ in sets]
        for sketch, members in zip(sketches, sets, strict=True):
            sketch.update_batch([member.to_bytes(4, "little") for member in members])
        theirs.append(sketches[0].jaccard(sketches[1]))
    assert np.abs(ours - exact).mean() < 1.25 * np.abs(np.array(theirs) - exact).mean()


def test_unrelated_documents_have_almost_no_similarity(chinese, signature_config):
    values = signatures(pl.Series(chinese), signature_config)
    assert similarity(values[:-1], values[1:]).mean() < 0.02


def test_empty_documents_are_like_nothing_not_even_each_other(signature_config):
    values = signatures(pl.Series(["", "!!!", "a word"]), signature_config)
    assert similarity(values[[0, 0, 2]], values[[1, 2, 2]]).tolist() == [0.0, 0.0, 1.0]


def test_a_signature_does_not_depend_on_its_neighbours(chinese, english, signature_config):
    texts = pl.Series(chinese[:20] + english[:20])
    whole = signatures(texts, signature_config)
    assert (signatures(texts[7:9], signature_config) == whole[7:9]).all()
    assert (signatures(texts.reverse(), signature_config)[::-1] == whole).all()


def test_another_seed_gives_other_signatures(english, signature_config):
    other = signature_config.model_copy(update={"seed": 2})
    texts = pl.Series(english[:5])
    assert not (signatures(texts, signature_config) == signatures(texts, other)).all(axis=1).any()


def test_signatures_survive_their_binary_column(english, signature_config):
    values = signatures(pl.Series(english[:10]), signature_config)
    column = to_binary(values)
    assert column.dtype == pl.Binary
    assert (from_binary(column, 112) == values).all()
    assert (from_binary(column[3:7], 112) == values[3:7]).all()
    assert (from_binary(pl.concat([column[5:], column[:5]]), 112) == np.roll(values, 5, axis=0)).all()
    assert from_binary(column[:0], 112).shape == (0, 112)


def test_signatures_of_another_configuration_are_refused(english, signature_config):
    column = to_binary(signatures(pl.Series(english[:2]), signature_config))
    with pytest.raises(LineageError, match=r"have \[112\] permutations, the configuration has 128: rebuild"):
        from_binary(column, 128)


def reference_signature(tokens: list[str], n: int, permutations: int, seed: int) -> list[int]:
    """The scheme in plain integers: FNV-1a of letters, a polynomial of tokens, SplitMix64."""
    wide = 1 << 64

    def mix(value: int) -> int:
        value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD % wide
        value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 % wide
        return value ^ value >> 33

    def token_hash(token: str) -> int:
        return functools.reduce(
            lambda state, letter: (state ^ ord(letter) + 1) * 0x100000001B3 % wide, token, 0
        )

    def shingle_hash(shingle: list[str]) -> int:
        return mix(
            functools.reduce(lambda s, t: (s * 0x9E3779B97F4A7C15 + mix(token_hash(t))) % wide, shingle, 0)
        )

    hashes = [shingle_hash(tokens[at : at + n]) >> 32 for at in range(len(tokens) - n + 1)]
    signature = []
    for number in range(permutations):
        draw = (seed + (number + 1) * 0x9E3779B97F4A7C15) % wide
        draw = (draw ^ draw >> 30) * 0xBF58476D1CE4E5B9 % wide
        draw = (draw ^ draw >> 27) * 0x94D049BB133111EB % wide
        draw ^= draw >> 31
        signature.append(min(((draw >> 32 | 1) * value + draw) % (1 << 32) for value in hashes))
    return signature


def test_a_signature_is_what_the_scheme_says_in_plain_integers(signature_config):
    verse, line = "白日依山尽黄河入海流欲穷千里目更上一层楼", "to be or not to be that is the question"
    values = signatures(pl.Series([verse, line]), signature_config)
    assert values[0].tolist() == reference_signature(list(verse), 5, 112, 1)
    assert values[1].tolist() == reference_signature(line.split(), 5, 112, 1)

"""Shingles against a plain Python statement of the same rules."""

import re
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.config import ShingleConfig
from phoenix_assets.dedup.exact import exact_hash
from phoenix_assets.dedup.shingles import folded_text, shingle_hashes, text_buffers

FIVE = ShingleConfig(words=5, characters=5)
HAN = re.compile("[\u3400-\u9fff]")


def tokens_of(text: str) -> list[str]:
    """Chinese characters, and runs of other letters and digits: enough for texts in Chinese and English."""
    folded = "".join(
        character.lower() if unicodedata.category(character)[0] in "LNM" else " "
        for character in unicodedata.normalize("NFKC", text)
    )
    return HAN.sub(lambda match: f" {match.group()} ", folded).split()


def shingles_of(text: str, words: int = 5, characters: int = 5) -> list[tuple[str, ...]]:
    tokens = tokens_of(text)
    sizes = [characters if HAN.match(token) else words for token in tokens]
    found = [tuple(tokens[at : at + size]) for at, size in enumerate(sizes) if at + size <= len(tokens)]
    return found or ([tuple(tokens)] if tokens else [])


def hashes_of(text: str, shingle: ShingleConfig = FIVE) -> list[int]:
    return shingle_hashes(pl.Series([text]), shingle)[0].tolist()


@pytest.mark.parametrize(("words", "characters"), [(5, 5), (1, 1), (3, 8), (64, 64)])
def test_as_many_distinct_hashes_as_a_plain_tokeniser_finds_shingles(chinese, english, words, characters):
    texts = [*chinese[:40], *english[:40], chinese[0][:50] + english[0][:200] + chinese[1][:50]]
    values, ends = shingle_hashes(pl.Series(texts), ShingleConfig(words=words, characters=characters))
    for row, text in enumerate(texts):
        expected = shingles_of(text, words, characters)
        assert ends[row + 1] - ends[row] == len(expected)
        assert len(set(values[ends[row] : ends[row + 1]].tolist())) == len(set(expected))


def test_equal_shingles_of_different_documents_have_equal_hashes(chinese, english):
    for text in (chinese[0], english[0]):
        middle = " ".join(tokens_of(text)[3:-3])
        assert set(hashes_of(middle)) <= set(hashes_of(text))


def test_case_punctuation_white_space_and_width_do_not_matter():
    plain = hashes_of("the quick brown fox jumps over it 白日依山尽黄河入海流")
    assert hashes_of("The  QUICK, brown—fox\njumps… over it！ 白日依山尽，黄河入海流。") == plain
    assert hashes_of("ｔｈｅ ｑｕｉｃｋ brown fox jumps over it 白日依山尽 黄河入海流") == plain


def test_a_short_document_has_one_shingle_of_everything():
    assert len(hashes_of("two words")) == 1
    assert len(hashes_of("白日")) == 1
    assert hashes_of("two words") != hashes_of("two word")


def test_a_document_without_letters_has_no_shingle():
    assert hashes_of("") == hashes_of("…！？ \n\t --- ★") == []


def test_a_slice_of_a_column_and_nulls_are_read_where_they_are():
    column = pl.Series(["alpha beta", None, "白日依山尽", "gamma"])
    values, ends = shingle_hashes(column[1:3], FIVE)
    assert ends.tolist() == [0, 0, 1]
    assert values.tolist() == hashes_of("白日依山尽")
    data, offsets = text_buffers(column[2:])
    assert bytes(data[offsets[0] : offsets[1]]).decode() == "白日依山尽"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_any_unicode_text_is_folded_to_valid_text_without_separators(texts):
    folded, ends = folded_text(pl.Series(texts, dtype=pl.String))
    shingle_hashes(pl.Series(texts, dtype=pl.String), FIVE)
    for row in range(len(texts)):
        text = folded[ends[row] : ends[row + 1]].tobytes().decode()
        assert not re.search(r"\s", text)
        assert (text == "") == (not hashes_of(texts[row]))


def test_exact_hash_ignores_what_folding_ignores_and_nothing_else():
    column = exact_hash(pl.Series(["Ab, c!", "ａｂＣ", "abd", "白日。", "白 日", "", None, "…"]))
    assert column.dtype == pl.Binary
    assert column[0] == column[1] != column[2]
    assert column[3] == column[4]
    assert column[5:].null_count() == 3
    assert {len(value) for value in column.drop_nulls()} == {16}


def test_exact_hash_of_no_documents_is_an_empty_column():
    assert exact_hash(pl.Series([], dtype=pl.String)).dtype == pl.Binary


def test_a_column_larger_than_a_batch_hashes_as_its_parts_do(english):
    texts = pl.Series(english * 80)
    assert texts.str.len_bytes().sum() > 1 << 24
    whole = exact_hash(texts)
    assert whole.equals(pl.concat([exact_hash(pl.Series(english))] * 80))
    assert np.unique(whole.to_numpy()).size == len(set(english))

import itertools

import jieba
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.lexicon import build_lexicon
from phoenix_assets.clean.word_hashes import STEP, word_hashes
from phoenix_assets.clean.wordlists import flagged_words, lexicon, stopwords
from phoenix_assets.clean.words import word_statistics

STOP = ["the", "of", "and", "a", "Ä"]
FLAGGED = ["bad", "very bad word", "very worse", "(ugly)"]
vocabulary = ["the", "The", "bad", "very", "word", "worse", "ugly!", "of,", "ä", "...", "x", "İ", "-", "中国"]
texts = st.lists(
    st.lists(st.sampled_from(vocabulary), max_size=60).map(" ".join) | st.text(max_size=50), max_size=6
)


@pytest.fixture(scope="module")
def small():
    return build_lexicon({"en": STOP}, {"en": FLAGGED})


def of(values, lang, table):
    langs = pl.Series([lang] * len(values), dtype=pl.String)
    return word_statistics(codepoints(pl.Series(values, dtype=pl.String)), langs, table, 5)


def cut(values, lang):
    """Return the texts with spaces where words are to be cut that are written without."""
    return [" ".join(jieba.lcut(text, HMM=False)) if lang == "zh" else text for text in values]


@settings(deadline=None)
@given(texts)
def test_word_rules_equal_the_plain_python_ones(reference, small, values):
    found = of(values, "en", small)
    words = [reference.words(text) for text in values]
    assert found["number_words"].to_list() == [len(w) for w in words]
    assert found["word_repetition"].to_list() == [reference.word_repetition(w, 5) for w in words]
    assert found["stopwords"].to_list() == [reference.stopwords(w, STOP) for w in words]
    assert found["flagged_words"].to_list() == [reference.flagged_words(w, FLAGGED) for w in words]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_word_rules_equal_the_plain_python_ones_on_real_text(reference, profiles, english, chinese, lang):
    values = {"en": english, "zh": chinese}[lang]
    found = of(values, lang, lexicon(profiles["default"].parameters))
    flagged, stops = (cut(sorted(listed()[lang]), lang) for listed in (flagged_words, stopwords))
    words = [reference.words(text) for text in cut(values, lang)]
    assert found["number_words"].to_list() == [len(w) for w in words]
    assert found["word_repetition"].to_list() == [reference.word_repetition(w, 5) for w in words]
    assert found["stopwords"].to_list() == [reference.stopwords(w, stops) for w in words]
    assert found["flagged_words"].to_list() == [reference.flagged_words(w, flagged) for w in words]


def test_the_golden_document_has_no_flagged_word_and_hardly_a_repetition(golden, profiles):
    row = of([golden], "zh", lexicon(profiles["default"].parameters)).row(0, named=True)
    assert row == {
        # Words of jieba's dictionary alone, no hidden Markov model; BLOOM's sentencepiece model finds 254.
        "number_words": 243,
        "word_repetition": 2 / 239,
        "stopwords": 66 / 243,
        "flagged_words": 0.0,
    }


def test_a_language_without_lists_has_null_shares(small):
    row = of(["ein Wort"], "xx", small).row(0, named=True)
    assert row == {"number_words": 2, "word_repetition": 0.0, "stopwords": None, "flagged_words": None}


def test_a_profile_adds_and_removes_listed_words(profiles):
    parameters = profiles["default"].parameters.model_copy(
        update={"flagged_extra": {"en": ("zyzzyva",)}, "flagged_excluded": {"en": ("ass",)}}
    )
    row = of(["zyzzyva ass word"], "en", lexicon(parameters)).row(0, named=True)
    assert row["flagged_words"] == 1 / 3


def test_the_lists_of_both_languages_are_there():
    assert len(stopwords()["en"]) > 500
    assert len(stopwords()["zh"]) > 1000
    assert len(flagged_words()["en"]) > 300
    assert len(flagged_words()["zh"]) > 200


def test_words_of_long_texts_are_told_apart_wherever_they_stand(reference, english):
    text = "\n".join([*english, "x" * 10_000, "y" + "x" * 9_999, "x" * 10_000, *english])
    found = of([text], "en", build_lexicon({"en": STOP}, {"en": FLAGGED}))
    words = reference.words(text)
    assert found["number_words"].to_list() == [len(words)]
    assert found["word_repetition"].to_list() == [reference.word_repetition(words, 5)]
    assert found["stopwords"].to_list() == [reference.stopwords(words, STOP)]


def test_a_words_hash_does_not_depend_on_its_place():
    texts = [" " * before + "x" * 10_000 for before in (0, 1, STEP - 1, STEP, 3 * STEP + 5)]
    hashes = word_hashes(codepoints(pl.Series(texts)), pl.Series(["en"] * len(texts)))
    assert len({int(found) for (found,) in hashes}) == 1


def test_words_that_begin_alike_are_told_apart():
    text = " ".join("x" * length for length in range(1, 5 * STEP))
    (hashes,) = word_hashes(codepoints(pl.Series([text])), pl.Series(["en"]))
    assert len(set(hashes.tolist())) == 5 * STEP - 1


def test_words_of_the_same_characters_are_told_apart_by_their_order():
    letters = [chr(ord("α") + place) for place in range(3 * STEP)]
    words = {"".join(letters)}
    for first, second in itertools.combinations(range(len(letters)), 2):
        for width in (1, 2, 4):
            swapped = letters.copy()
            for k in range(min(width, second - first, len(letters) - second)):
                swapped[first + k], swapped[second + k] = swapped[second + k], swapped[first + k]
            words.add("".join(swapped))
    (hashes,) = word_hashes(codepoints(pl.Series([" ".join(sorted(words))])), pl.Series(["xx"]))
    assert len(set(hashes.tolist())) == len(words)

import jieba
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.dictionary import build_dictionary, dictionary
from phoenix_assets.clean.segmentation import segmented, word_ends
from phoenix_assets.errors import ConfigError

# Words of the dictionary that begin others, characters that are no word, letters, marks, digits, other scripts.
alphabet = "中国人民共和大学生活一上的在AT&Tbc+#3.5%-_ \n，。éγ射线日本のカ韩한𠮷龥鿕鿖㐀😀"
texts = st.lists(
    st.text(alphabet, max_size=60)
    | st.lists(st.sampled_from(["中华人民共和国", "AT&T", "T恤", "C++", "１", "结婚的和尚未结婚的"])).map(
        "".join
    )
    | st.text(max_size=30),
    max_size=6,
)


def cut(values, words):
    points = codepoints(pl.Series(values, dtype=pl.String))
    ends = word_ends(points, words)
    return [
        [text[a:b] for a, b in zip([0, *found], found, strict=False)]
        for text, found in zip(values, ends, strict=True)
    ]


def small(*lines):
    return build_dictionary(np.array([ord(c) for c in "\n".join(lines)], np.uint32))


@settings(deadline=None)
@given(texts)
def test_words_are_those_of_jieba_without_its_hidden_markov_model(values):
    assert cut(values, dictionary()) == [jieba.lcut(text, HMM=False) for text in values]


def test_words_are_those_of_jieba_on_real_text(chinese, english):
    values = chinese + english
    assert cut(values, dictionary()) == [jieba.lcut(text, HMM=False) for text in values]


def test_every_word_of_the_dictionary_is_cut_as_by_jieba():
    values = ["".join(list(jieba.dt.FREQ)[start : start + 2000]) for start in range(0, 500_000, 25_000)]
    assert cut(values, dictionary()) == [jieba.lcut(text, HMM=False) for text in values]


def test_of_equally_probable_cuts_the_one_with_the_longer_first_word_is_taken():
    words = small("甲 5", "乙丙 5 n", "甲乙 5", "丙 5 x")
    assert cut(["甲乙丙"], words) == [["甲乙", "丙"]]


def test_a_character_that_only_begins_words_stands_alone_elsewhere():
    words = small("甲乙 3", "丙 2")
    assert cut(["甲丙甲乙"], words) == [["甲", "丙", "甲乙"]]


@pytest.mark.parametrize("line", ["甲", "甲 0", "甲 x", " 3", "😀 3"])
def test_a_file_that_is_no_dictionary_is_refused(line):
    with pytest.raises(ConfigError, match="line 2"):
        small("乙 1", line)


def test_only_languages_written_without_spaces_are_cut():
    assert segmented(pl.Series(["zh", "en", None, "yue", ""])).tolist() == [True, False, False, True, False]

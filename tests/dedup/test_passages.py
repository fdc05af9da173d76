"""Texts cut into passages: what is one, what is the same, and what is left without some of them."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.passages.config import LengthConfig
from phoenix_assets.dedup.passages.joining import excerpts, without
from phoenix_assets.dedup.passages.split import Cut, split

ENGLISH = "One line.\nAnother one, with 2 parts. And a third!\n\n\nThe last"
CHINESE = "第一段。第二句！“第三句？”他说。\n\n第二段共3.14元。"


def cut(text: str, how: Cut) -> list[str]:
    passages = split(pl.Series([text]), how, zero_digits=False)
    return excerpts(passages, np.ones(len(passages.starts), np.bool_)).to_list()


def same(left: str, right: str, *, zero_digits: bool = False) -> bool:
    passages = split(pl.Series([left, right]), Cut.BLOCKS, zero_digits=zero_digits)
    return (passages.hashes[0] == passages.hashes[1]).all() and passages.letters[0] == passages.letters[1]


def test_a_line_with_the_blank_lines_after_it_is_a_paragraph() -> None:
    assert cut(ENGLISH, Cut.LINES) == [
        "One line.\n",
        "Another one, with 2 parts. And a third!\n\n\n",
        "The last",
    ]


def test_a_block_goes_on_to_a_blank_line() -> None:
    assert cut(ENGLISH, Cut.BLOCKS) == [ENGLISH[:-8], "The last"]


def test_sentences_end_at_stops_before_white_space_and_with_lines() -> None:
    assert cut(ENGLISH, Cut.SENTENCES) == [
        "One line.\n",
        "Another one, with 2 parts. ",
        "And a third!\n\n\n",
        "The last",
    ]


def test_chinese_sentences_end_at_full_stops_with_what_closes_there_and_numbers_have_none() -> None:
    assert cut(CHINESE, Cut.SENTENCES) == [
        "第一段。",
        "第二句！",
        "“第三句？”",
        "他说。\n\n",
        "第二段共3.14元。",
    ]


@pytest.mark.parametrize("how", Cut)
def test_fenced_code_and_tables_are_one_passage(how) -> None:
    code = "```python\nx = 1. \n\ny = 2\n```\n"
    table = "| a. | b |\n| --- | --- |\n| c | d |\n"
    assert cut(f"Text.\n\n{code}\n{table}\nMore.", how) == ["Text.\n\n", f"{code}\n", f"{table}\n", "More."]


def test_case_width_spaces_and_punctuation_make_no_difference_and_letters_do() -> None:
    assert same("Cookies: we USE them.", "ｃｏｏｋｉｅｓ we use—them")
    assert same("本页面，由计划提供。", "本页面由 计划提供")
    assert not same("we use them", "we used them")
    assert not same("ab", "ba")


def test_digits_are_no_difference_only_where_that_is_wished() -> None:
    assert not same("page 12", "page 47")
    assert same("page 12", "page 47", zero_digits=True)
    assert same("第１２页", "第४७页", zero_digits=True)
    assert not same("page 1", "page 12", zero_digits=True)


def test_letters_are_counted_without_spaces_and_by_script() -> None:
    passages = split(pl.Series(["Hello, 世界 42!"]), Cut.LINES, zero_digits=False)
    assert (passages.letters.tolist(), passages.singles.tolist()) == ([9], [2])


def test_a_passage_of_two_scripts_is_long_enough_by_its_shares_of_both() -> None:
    passages = split(
        pl.Series(["abcd", "abcde", "中文", "中文字", "abc中", "abc中文"]), Cut.LINES, zero_digits=False
    )
    enough = passages.long_enough(LengthConfig(words=5, characters=3))
    assert enough.tolist() == [False, True, False, True, False, True]


def test_no_text_and_null_have_no_passages() -> None:
    passages = split(pl.Series(["", None, "a"], dtype=pl.String), Cut.LINES, zero_digits=False)
    assert passages.bounds.tolist() == [0, 0, 0, 1]
    assert passages.totals.tolist() == [0, 0, 1]


def test_the_first_and_last_passages_of_each_text_are_its_edges() -> None:
    passages = split(pl.Series(["a\nb\nc\nd", "e"]), Cut.LINES, zero_digits=False)
    assert passages.at_edges(1, 2).tolist() == [True, False, True, True, True]


def left(text: str, how: Cut, removed: list[int]) -> str:
    passages = split(pl.Series([text]), how, zero_digits=False)
    return without(passages, np.isin(np.arange(len(passages.starts)), removed))[0]


def test_a_removed_paragraph_takes_its_blank_lines_with_it() -> None:
    assert left("a\n\nb\n\nc", Cut.LINES, [1]) == "a\n\nc"
    assert left("a\n\nb\n\nc\n", Cut.LINES, [2]) == "a\n\nb"
    assert left("a\n\nb", Cut.LINES, [0, 1]) == ""


def test_a_removed_sentence_leaves_the_line_end_behind_it() -> None:
    assert left("A one. B two.\n\nC three.", Cut.SENTENCES, [1]) == "A one.\n\nC three."
    assert left("A one. B two.\n\nC three.", Cut.SENTENCES, [0, 1]) == "C three."
    assert left("甲。乙。\n丙。", Cut.SENTENCES, [0]) == "乙。\n丙。"


texts = st.lists(st.text(alphabet="ab .!?\n。！”中文1é𝒳`|", max_size=40), max_size=6)


@given(texts, st.sampled_from(Cut))
@settings(max_examples=60, deadline=None)
def test_all_passages_joined_are_the_text(found, how) -> None:
    column = pl.Series("text", found, dtype=pl.String)
    passages = split(column, how, zero_digits=True)
    assert without(passages, np.zeros(len(passages.starts), np.bool_)).to_list() == found
    pieces = excerpts(passages, np.ones(len(passages.starts), np.bool_)).to_list()
    bounds = passages.bounds
    assert ["".join(pieces[bounds[row] : bounds[row + 1]]) for row in range(len(found))] == found


@given(texts, st.sampled_from(Cut), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_passages_do_not_depend_on_the_texts_beside_them(found, how, start) -> None:
    whole = split(pl.Series(found, dtype=pl.String), how, zero_digits=False)
    part = split(pl.Series(found, dtype=pl.String).slice(start), how, zero_digits=False)
    first = int(whole.bounds[min(start, len(found))])
    assert (whole.hashes[first:] == part.hashes).all()
    assert whole.letters[first:].tolist() == part.letters.tolist()


@given(st.lists(st.text(alphabet="abc中文 ,\n", max_size=12), max_size=20))
@settings(max_examples=50, deadline=None)
def test_two_paragraphs_have_one_hash_exactly_when_their_letters_are_the_same(found) -> None:
    passages = split(pl.Series(found, dtype=pl.String), Cut.LINES, zero_digits=False)
    lines = [re.sub(r"\W", "", one) for one in excerpts(passages, np.ones(len(passages.starts), np.bool_))]
    hashes = [one.tobytes() for one in passages.hashes]
    assert len(set(lines)) == len(set(hashes)) == len(set(zip(lines, hashes, strict=True)))

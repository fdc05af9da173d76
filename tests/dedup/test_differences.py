"""Where two texts differ: characters of Chinese, words of English, and both texts whole again from the spans."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.comparison_config import load_comparisons
from phoenix_assets.dedup.differences import Hunk, Span, difference, spans

CONFIG = load_comparisons()
texts = st.text(st.sampled_from("ab 。.\n天下大势"), max_size=40)


def marked(kept: str, dropped: str) -> list[tuple[str, str] | str]:
    """Return equal text as it is, and a difference as a pair."""
    return [span.kept if span.equal else (span.kept, span.dropped) for span in spans(kept, dropped, CONFIG)]


# By eye: what a reader would mark.
GOLDEN = [
    (
        "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。",
        "话说天下大事，分久必合，合久必分。周末七国纷争，并入于秦。",
        ["话说天下大", ("势", "事"), "，分久必合，合久必分。周末七国", ("分", "纷"), "争，并入于秦。"],
    ),
    (
        "天下大势，分久必合。",
        "却说天下大势，分久必合。合久必分。",
        [("", "却说"), "天下大势，分久必合。", ("", "合久必分。")],
    ),
    (
        "The quick brown fox jumps over the lazy dog. It was fine.",
        "The slow red fox jumps over the lazy dog. It was very fine.",
        [
            "The ",
            ("quick brown", "slow red"),
            " fox jumps over the lazy dog. It was ",
            ("", "very "),
            "fine.",
        ],
    ),
    ("Contact us!\nOpen 9 to 5.", "Contact us!\nOpen 9 to 6.", ["Contact us!\nOpen 9 to ", ("5", "6"), "."]),
    ("安装 libreoffice 7.3 版", "安装 libreoffice 7.4 版", ["安装 libreoffice 7.", ("3", "4"), " 版"]),
]


@pytest.mark.parametrize(("kept", "dropped", "expected"), GOLDEN)
def test_a_difference_is_marked_as_a_reader_would_mark_it(kept, dropped, expected):
    assert marked(kept, dropped) == expected


def test_passages_that_share_chance_characters_only_are_one_difference():
    assert marked("他去年买了红色的车。", "我明天要卖绿色的书。") == [
        ("他去年买了红", "我明天要卖绿"), "色的", ("车", "书"), "。",
    ]  # fmt: skip
    assert marked("cat on a mat", "dog in a fog") == [("cat on a mat", "dog in a fog")]


@settings(deadline=None)
@given(texts, texts)
def test_the_spans_are_both_texts_whole(kept, dropped):
    found = spans(kept, dropped, CONFIG)
    assert "".join(span.kept for span in found) == kept
    assert "".join(span.dropped for span in found) == dropped
    assert all(one.equal != other.equal for one, other in pairwise(found))


@settings(deadline=None)
@given(texts, texts)
def test_every_character_is_counted_once(kept, dropped):
    found = difference(kept, dropped, CONFIG)
    assert found.equal + found.only_kept == len(kept)
    assert found.equal + found.only_dropped == len(dropped)


def test_long_equal_stretches_are_folded_to_context():
    config = CONFIG.model_copy(update={"context_characters": 4})
    same = "abcdefgh" * 10
    found = difference(f"{same}。1。{same}。", f"{same}。2。{same}。", config)
    assert found.hunks == (
        Hunk(len(same) - 3, (Span("fgh。", "fgh。"), Span("1", "2"), Span("。abc", "。abc"))),
    )
    assert found.rest == len(same) - 3 + 1


def test_equal_texts_and_empty_ones_have_no_hunks():
    assert difference("同样。", "同样。", CONFIG).hunks == ()
    assert difference("", "", CONFIG).hunks == ()
    assert difference("", "新的。", CONFIG).hunks == (Hunk(0, (Span("", "新的。"),)),)


def test_no_more_is_shown_than_is_allowed_and_the_rest_is_counted():
    config = CONFIG.model_copy(update={"shown_characters": 100})
    found = difference("甲" * 1000, "乙" * 700, config)
    assert [len(span.kept) for hunk in found.hunks for span in hunk.spans] == [100]
    assert found.hidden == 900


def test_a_megabyte_with_many_edits_is_aligned():
    draw = random.Random(5)
    kept = [chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(1_000_000)]
    kept[::37] = "。" * len(kept[::37])
    dropped = list(kept)
    for place in range(10, len(dropped), 1000):
        dropped[place] = "x"
    found = difference("".join(kept), "".join(dropped), CONFIG)
    assert found.only_kept == found.only_dropped == 1000
    assert len(found.hunks) > 10


def test_a_megabyte_without_any_likeness_is_one_difference():
    found = difference("甲乙。" * 350_000, "丙丁！" * 350_000, CONFIG)
    assert (found.equal, found.only_kept) == (0, 1_050_000)

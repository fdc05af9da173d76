"""Keywords are found as the words of class names, and parts of a page are weighed in both languages alike."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.ingest.config import reader_limits
from phoenix_assets.ingest.keywords import automaton, keyword_bits
from phoenix_assets.ingest.main_content import INSIDE, find_main_content, keywords
from phoenix_assets.ingest.markup import Page, scan


def bits(text: str, *groups: tuple[str, ...]) -> int:
    found = automaton({1 << place: words for place, words in enumerate(groups)})
    data = np.frombuffer(text.encode(), np.uint8)
    return int(keyword_bits(data, 0, data.size, *found))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ad", 1),
        ("top_ad", 1),
        ("ad-box", 1),
        ("adBox", 1),
        ("AD", 1),
        ("ad2", 1),
        ("head", 0),
        ("adapter", 0),
        ("广ad", 1),
    ],
)
def test_a_boundary_is_anything_but_a_letter(name: str, found: int) -> None:
    assert bits(name, ("-ad-",)) == found


def test_keywords_of_several_groups_are_found_in_one_pass() -> None:
    assert bits("post-comments sideBar", ("side-bar", "nothing"), ("comments",), ("bar-x",)) == 0b011


@given(st.text("ab-", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=6))
def test_the_automaton_finds_what_searching_for_each_word_finds(text: str, words: list[str]) -> None:
    assert bool(bits(text, tuple(words))) == any(re.search(word, text) for word in words)


def page_of(markup: str) -> Page:
    return scan(markup.encode(), keywords(reader_limits().html.main), max_tags=1000, max_nesting=100)


@pytest.mark.parametrize(
    "sentence", ["A sentence of some length, as pages have them. ", "这是一个有一定长度的句子，网页上常有。"]
)
def test_the_part_with_the_text_is_followed(sentence: str) -> None:
    page = page_of(
        f"<div><div><p>{sentence}</p></div><div><p>{sentence * 5}</p><p>{sentence * 5}</p></div></div>"
    )
    state, top = find_main_content(page, reader_limits().html.main)
    start = page.source[top][0]
    assert page.data.tobytes()[start:].startswith(f"<div><p>{sentence * 5}".encode())
    assert [int(element) for element in np.flatnonzero(state == INSIDE)] == [top, top + 1, top + 2]


@pytest.mark.parametrize(
    ("markup", "nesting"),
    [
        ("<p>a<p>b<p>c", 1),
        ("<ul><li>a<li>b<li>c</ul>", 2),
        ("<ul><li>a</ul>" * 50, 2),
        ("<dl>" + "<dt>a<dd>b" * 100 + "</dl>", 2),
        ("<table>" + "<tr><td>a<td>b" * 100 + "</table>", 3),
        ("<svg>" + '<path d="M0 0"/>' * 90 + "</svg>", 1),
        ("<script>" + "if (a<b) {}" * 90 + "</script><p>x", 1),
        ("<!-- " + "<div>" * 1000 + " --><p>x", 1),
        ('<p title="' + "<div>" * 1000 + '">x', 1),
        ("<br>" * 100, 0),
        ("<p>" + "<b>x</b>" * 100, 1),
        ("<select>" + "<option>a" * 100 + "</select>", 2),
        ("<DIV><Div></dIv></DIV>", 2),
        ("<p>a<math><mi>x</mi></math>b<svg></svg>", 3),
    ],
)
def test_markup_nests_as_in_a_browser(markup: str, nesting: int) -> None:
    assert page_of(markup).nesting == nesting


def test_a_data_address_counts_as_one_attribute() -> None:
    address = "data:image/png;base64," + "iVBO/w0KGgo= " * 5000
    assert page_of(f'<img src="{address}" alt=x>').most_attributes == 2


@given(st.binary(max_size=300))
def test_any_bytes_can_be_scanned(content: bytes) -> None:
    page = scan(content, keywords(reader_limits().html.main), max_tags=100, max_nesting=10)
    assert 0 <= page.nesting <= page.tags
    assert (page.events[:, 0] < page.events[:, 1]).all()
    assert (page.parent[1:] < np.arange(1, page.parent.size)).all()

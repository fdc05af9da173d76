"""The report for people: whole, the same each time, and safe to open whatever the texts hold."""

import re
from html.parser import HTMLParser

import polars as pl
import pytest

from phoenix_assets.dedup.comparison import MEMBER, PAIR, report
from phoenix_assets.dedup.comparison_config import load_comparisons

CONFIG = load_comparisons()


def pair(kept: str | None, dropped: str | None, **columns) -> dict:
    return {
        "doc_id": "b" * 32, "source": "cc", "delivery": "d2", "url": "http://b.example/", "text": dropped,
        "duplicate_of": "a" * 32, "kept_source": "wiki", "kept_delivery": "d1", "kept_url": None, "kept_text": kept,
        "similarity": 0.875, "band": 3, "cluster": "a" * 32, "copies": 2, "later": None, "later_granularity": None,
    } | columns  # fmt: skip


def page(*pairs: dict, members: list[dict] = (), title: str = "near") -> str:
    return report(
        pl.DataFrame(list(pairs), schema=PAIR),
        pl.DataFrame(list(members), schema=MEMBER),
        title=title,
        summary="two documents",
        similarities={"0.90": 2, "0.85": 0},
        sizes={"2 copies": 1},
        config=CONFIG,
    )


class Tags(HTMLParser):
    """What a browser would make of a page: its tags, and the text inside some of them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.inside: dict[str, list[str]] = {}
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        if tag == "a":
            assert all((value or "").startswith("#") for name, value in attrs if name == "href")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.inside.setdefault(self.open[-1] if self.open else "", []).append(data)


def test_differing_spans_are_marked_on_both_sides():
    found = Tags(page(pair("天下大势。", "天下大事。")))
    assert found.inside["del"][-1:] == ["势"] and found.inside["ins"][-1:] == ["事"]
    assert found.open == []
    shown = page(pair("天下大势。", "天下大事。"))
    assert "4 characters are equal, 1 stand only in the kept text, 1 only in the dropped one." in shown


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "</pre><img src=x onerror=alert(1)>",
        '"><svg onload=alert(1)>',
        "{{ 7 * 7 }}",
        "&lt;b&gt;",
    ],
)
def test_text_is_never_taken_for_markup(hostile):
    source = page(
        pair(hostile, f"{hostile}!", url=hostile, kept_url=hostile),
        members=[{"cluster": "a" * 32, "doc_id": "b" * 32, "source": "cc", "delivery": hostile, "url": hostile, "duplicate_of": None, "similarity": None, "band": None}],
        title=hostile,
    )  # fmt: skip
    found = Tags(source)
    assert not {"script", "img", "svg"} & found.tags
    assert hostile in "".join(found.inside["pre"])
    assert found.inside["h1"] == [hostile]


def test_characters_that_cannot_be_seen_are_shown_by_their_number():
    source = page(pair("safe\u202egnp.exe", "safe\u2066\x1b[31m"))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", source)
    assert "⟦U+202E⟧" in source and "⟦U+001B⟧" in source


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing():
    source = page(pair("一。", "二。"))
    assert "default-src 'none'" in source
    assert not re.search('(src|href)="[^#]', source)
    assert "<script" not in source and "@import" not in source and "url(" not in source


def test_the_same_pairs_give_the_same_page():
    pairs = [pair("The quick fox.", "The slow fox."), pair("天下大势。", "天下大事。")]
    assert page(*pairs) == page(*pairs)


def test_texts_that_are_empty_equal_or_gone_are_said_to_be():
    assert "The texts are equal: 3 characters." in page(pair("同样。", "同样。"))
    assert "The texts are equal: 0 characters." in page(pair("", ""))
    assert "A text cannot be read any more." in page(pair(None, "二。"))
    assert "Nothing was dropped." in page()


def test_a_survivor_that_was_dropped_afterwards_says_behind_what():
    source = page(pair("一。", "一。", later="c" * 32, later_granularity="near"))
    assert f"itself dropped afterwards, by near, as a copy of <code>{'c' * 32}</code>" in source


def test_the_documents_of_a_cluster_are_listed_up_to_a_number():
    members = [
        {"cluster": "a" * 32, "doc_id": f"{number:032x}", "source": "cc", "delivery": "d", "url": None,
         "duplicate_of": "a" * 32 if number else None, "similarity": 0.9 if number else None, "band": 1}
        for number in range(CONFIG.members + 5)
    ]  # fmt: skip
    source = page(pair("一。", "二。"), members=members)
    assert source.count("<tr>") == CONFIG.members + 1
    assert "and 5 more" in source

"""HTML to text, and the measures that keep hostile markup out of the parser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.html import extract_html
from phoenix_assets.ingest.markup import measure
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, RecordRejected
from phoenix_assets.schema import RejectReason

ARTICLE = """<!DOCTYPE html><html><head><title> On
 Shingles </title></head><body><nav><a href=/>Home</a></nav><main><h1>Shingles</h1>
<p>A shingle is an n-gram of words, and <b>n</b> is often five.</p><pre>def f():
    return 1</pre><ul><li>one</li><li>two</li></ul>
<p>So <img alt="E = mc^2" src=f.png> holds.</p></main><footer>Copyright</footer></body></html>"""


def test_main_content_keeps_headings_code_lists_and_formulas(limits: ReaderLimits) -> None:
    title, text = extract_html(ARTICLE.encode(), "utf-8", limits)
    assert title == "On Shingles"
    assert "def f():\n    return 1" in text
    assert "E = mc^2" in text
    assert text.startswith("Shingles")
    assert "Home" not in text
    assert "Copyright" not in text


def test_without_main_content_all_visible_text_stays(limits: ReaderLimits) -> None:
    _, text = extract_html(ARTICLE.encode(), None, limits, main_content=False)
    assert "Copyright" in text


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 200_000 + "x",
        "<div>" * 200_000 + "x" + "</div>" * 200_000,
        "<div></x>y" * 3000,
        "<div><table><tr><td></div>x" * 1000,
        "<li><dd>x" * 3000,
        "".join(f"<li><b class=c{number}>x" for number in range(3000)),
        "<p>x</p>" * 400_000,
        "<a " + " ".join(f"a{number}" for number in range(10_000)) + ">x",
        '<a ="' + " ".join(f"a{number}" for number in range(10_000)) + '">x',
        "<!--><div>" + "<div>" * 1000,
        "<svg><style>" + "<div>" * 1000,
    ],
)
def test_markup_that_costs_out_of_proportion_is_a_bomb(markup: str, limits: ReaderLimits) -> None:
    with pytest.raises(RecordRejected) as caught:
        extract_html(markup.encode(), None, limits)
    assert caught.value.reason is RejectReason.BOMB


def test_a_bomb_in_utf16_is_seen_too(limits: ReaderLimits) -> None:
    with pytest.raises(RecordRejected) as caught:
        extract_html(("<div>" * 2000).encode("utf-16"), None, limits)
    assert caught.value.reason is RejectReason.BOMB


@pytest.mark.parametrize(
    ("markup", "nesting"),
    [
        ("<p>a<p>b<p>c", 1),
        ("<ul><li>a<li>b<li>c</ul>", 2),
        ("<ul><li>a</ul>" * 50, 2),
        ("<dl>" + "<dt>a<dd>b" * 100 + "</dl>", 2),
        ("<table>" + "<tr><td>a<td>b" * 100 + "</table>", 3),
        ("<svg>" + '<path d="M0 0"/>' * 1000 + "</svg>", 1),
        ("<script>" + "if (a<b) {}" * 1000 + "</script><p>x", 1),
        ("<!-- " + "<div>" * 1000 + " --><p>x", 1),
        ('<p title="' + "<div>" * 1000 + '">x', 1),
        ("<br>" * 1000, 0),
        ("<p>" + "<b>x</b>" * 1000, 1),
        ("<select>" + "<option>a" * 1000 + "</select>", 2),
        ("<DIV><Div></dIv></DIV>", 2),
    ],
)
def test_ordinary_markup_is_measured_as_the_parser_nests_it(markup: str, nesting: int) -> None:
    assert measure(markup.encode()).nesting == nesting


def test_a_data_address_counts_as_one_attribute() -> None:
    assert (
        measure(b'<img src="data:image/png;base64,' + b"iVBO/w0KGgo= " * 5000 + b'" alt=x>').attributes == 2
    )


@given(st.binary(max_size=300))
def test_any_bytes_can_be_measured(content: bytes) -> None:
    measured = measure(content)
    assert 0 <= measured.nesting <= measured.tags


@given(
    st.lists(st.sampled_from(["<div>", "</div>", "<p>", "<li>", "<b>", "</b>", "<table>", "<td>", "<", "é"]))
)
def test_any_markup_gives_text_or_a_reasoned_rejection(parts: list[str]) -> None:
    from phoenix_assets.ingest.config import reader_limits

    _, text = extract_html("x".join(parts).encode(), None, reader_limits())
    assert isinstance(text, str)


def test_null_bytes_do_not_disturb(limits: ReaderLimits) -> None:
    _, text = extract_html(b"<main><p>one\x00two</p></main>", None, limits)
    assert "one" in text


def test_a_page_over_the_limit_is_too_large(limits_with: Callable[..., ReaderLimits]) -> None:
    with pytest.raises(RecordRejected) as caught:
        extract_html(b"x" * 101, None, limits_with(max_record_bytes=100))
    assert caught.value.reason is RejectReason.TOO_LARGE


def test_an_html_file_is_one_record(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "a.html"
    path.write_text(ARTICLE, "utf-8")
    (record,) = read_file(path, "html", limits)
    assert isinstance(record, Record)
    assert (record.locator, record.title) == ("0", "On Shingles")

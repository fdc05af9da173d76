"""HTML to Markdown: what is kept and how it is written, what is main content, and that hostile markup costs nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.ingest.config import ReaderLimits, reader_limits
from phoenix_assets.ingest.html import extract_html
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, RecordRejected
from phoenix_assets.schema import RejectReason

ARTICLE = """<!DOCTYPE html><html><head><title> On
 Shingles &amp; more</title></head><body><nav><a href=/>Home</a></nav><main><h1>Shingles</h1>
<p>A shingle is an n-gram of words, and <b>n</b> is often five.</p><pre>def f():
    return 1</pre><ul><li>one</li><li>two</li></ul>
<p>So <img alt="E = mc^2" src=f.png> holds.</p></main><footer>Copyright</footer></body></html>"""
PROSE = "The quick brown fox jumps over the lazy dog, and the dog does not care at all. " * 3
ZH_PROSE = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。" * 3


def text_of(markup: str, *, main_content: bool = False) -> str:
    return extract_html(markup.encode(), None, reader_limits(), main_content=main_content)[1]


def test_main_content_keeps_headings_code_lists_and_formulas(limits: ReaderLimits) -> None:
    title, text = extract_html(ARTICLE.encode(), "utf-8", limits)
    assert title == "On Shingles & more"
    assert text == (
        "# Shingles\n\nA shingle is an n-gram of words, and n is often five.\n\n"
        "```\ndef f():\n    return 1\n```\n\n- one\n- two\n\nSo $E = mc^2$ holds."
    )


def test_without_main_content_all_visible_text_stays() -> None:
    assert "Copyright" in text_of(ARTICLE)


@pytest.mark.parametrize("prose", [PROSE, ZH_PROSE])
@pytest.mark.parametrize(
    "around",
    [
        '<div class="sidebar"><p>{}</p></div>',
        '<div id="leftNav"><p>{}</p></div>',
        '<ul class="related-posts"><li><a href=/1>{}</a></li></ul>',
        '<div class="comments-area"><p>{}</p></div>',
        '<div role="navigation">{}</div>',
        "<footer><p>{}</p></footer>",
        '<div class="x"><a href=/1>{}</a> <a href=/2>more</a></div>',
        '<p style="display: none">{}</p>',
        "<p hidden>{}</p>",
        "<noscript>{}</noscript>",
    ],
)
def test_what_is_around_the_text_is_left_out(around: str, prose: str) -> None:
    markup = f"<div class=page><div><h1>T</h1><p>{prose}</p><p>{prose}</p></div>{around.format('UNWANTED words, here.')}</div>"
    assert "UNWANTED" not in text_of(markup, main_content=True)
    assert text_of(markup, main_content=True).count(prose.strip()) == 2


def test_a_page_that_calls_itself_by_its_sidebar_is_kept() -> None:
    markup = f'<div class="has-sidebar"><p>{PROSE}</p></div><p>Imprint</p>'
    assert PROSE.strip() in text_of(markup, main_content=True)


def test_words_of_a_sentence_stay_whatever_their_class() -> None:
    markup = f'<p>{PROSE} Choose <span class="menuitem">Format</span> first.</p>'
    assert text_of(markup, main_content=True).endswith("Choose Format first.")


def test_a_table_of_data_keeps_cells_that_are_links() -> None:
    rows = "".join(
        f"<tr><td><a href=/{n}>f{n}()</a></td><td>Returns the number {n}.</td></tr>" for n in range(9)
    )
    assert "| f3() | Returns the number 3. |" in text_of(
        f"<p>{PROSE}</p><table>{rows}</table>", main_content=True
    )


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<h2>A</h2><h3>B</h3>", "## A\n\n### B"),
        ("<ol><li>a<li>b<ul><li>c</ul></ol>", "1. a\n2. b\n  - c"),
        ("<ul><li><p>a</p></li><li><p>b</p></li></ul>", "- a\n- b"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<p>a\n  b&nbsp;c</p><p>d", "a b\xa0c\n\nd"),
        ("<table><tr><th>x<th>y<tr><td>1<td>a|b</table>", "| x | y |\n| --- | --- |\n| 1 | a\\|b |"),
        ("<table><tr><td><h1>t</h1><tr><td><p>u</table>", "# t\n\nu"),
        ('<pre><code class="language-py">x &lt; 1\n</code></pre>', "```py\nx < 1\n```"),
        ('<div class="highlight-python3"><pre>import x</pre></div>', "```python3\nimport x\n```"),
        ("<pre>Two roads diverged\n  in a yellow wood</pre>", "Two roads diverged\n  in a yellow wood"),
        ("<p>a<script>b</script><style>c</style><!-- d --><svg><title>e</title></svg></p>", "a"),
        ("<p>see <a href=#x>this</a> <a class=headerlink href=#y>¶</a></p>", "see this"),
        ("<?xml version='1.0'?><html><script src='a'/><title/><p>a</p></html>", "a"),
        ("<p>a &lt;b&gt; &amp;amp; &#x4E2D;&#20013;</p>", "a <b> &amp; 中中"),
    ],
)
def test_layout_becomes_markdown(markup: str, text: str) -> None:
    assert text_of(markup) == text


MATHML = '<math{}><semantics><mi>x</mi><annotation encoding="application/x-tex">{{\\displaystyle x^{{2}}}}</annotation></semantics></math>'


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (f"<p>a {MATHML.format('')} b", "a $x^{2}$ b"),
        (f"<p>a {MATHML.format(' display=block')} b", "a\n\n$$\nx^{2}\n$$\n\nb"),
        ("<p>a <math><mfrac><mn>1</mn><mi>n</mi></mfrac></math>", r"a $\frac{1}{n}$"),
        (  # KaTeX
            f'<span class="katex-display"><span class="katex"><span class="katex-mathml">{MATHML.format("")}</span>'
            '<span class="katex-html" aria-hidden="true">x2</span></span></span>',
            "$$\nx^{2}\n$$",
        ),
        (  # MathJax 2
            '<p>a <span class="MathJax_Preview">p</span><span class="MathJax" id="MathJax-1">x2</span>'
            '<script type="math/tex">x^2 < y</script> b',
            "a $x^2 < y$ b",
        ),
        ('<p>a <script type="math/tex; mode=display">x^2</script> b', "a\n\n$$\nx^2\n$$\n\nb"),
        (  # MathJax 3
            '<mjx-container display="true"><mjx-math aria-hidden="true"></mjx-math><mjx-assistive-mml>'
            '<math display="block"><msup><mi>x</mi><mn>2</mn></msup></math></mjx-assistive-mml></mjx-container>',
            "$$\nx^{2}\n$$",
        ),
        (  # MediaWiki, with MathML and without
            f'<p>a <span><span style="display: none;">{MATHML.format("")}</span><img class="mwe-math-fallback-image-inline" '
            'aria-hidden="true" alt="{\\displaystyle x^{2}}"></span> b',
            "a $x^{2}$ b",
        ),
        ('<p>a <img class="tex" alt="\\alpha_i &lt; 1"> b', r"a $\alpha_i < 1$ b"),
        ('<p>a <img src="/equation?tex=x" alt="x"> b <img alt="A cat" src="cat.png">', "a $x$ b"),
        (r"<p>a \(x_1\) and $$y$$", r"a \(x_1\) and $$y$$"),
    ],
)
def test_formulas_are_kept_as_tex(markup: str, text: str) -> None:
    assert text_of(markup) == text


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 200_000 + "x",
        "<div>" * 200_000 + "x" + "</div>" * 200_000,
        "<div></x>y" * 3000,
        "<p>x</p>" * 400_000,
        "<a " + " ".join(f"a{number}" for number in range(10_000)) + ">x",
        '<a ="' + " ".join(f"a{number}" for number in range(10_000)) + '">x',
        "<!--><div>" + "<div>" * 1000,
        "<svg><style>" + "<div>" * 1000,
    ],
)
def test_markup_out_of_proportion_is_a_bomb(markup: str, limits: ReaderLimits) -> None:
    with pytest.raises(RecordRejected) as caught:
        extract_html(markup.encode(), None, limits)
    assert caught.value.reason is RejectReason.BOMB


def test_a_bomb_in_utf16_is_seen_too(limits: ReaderLimits) -> None:
    with pytest.raises(RecordRejected) as caught:
        extract_html(("<div>" * 2000).encode("utf-16"), None, limits)
    assert caught.value.reason is RejectReason.BOMB


@pytest.mark.parametrize(
    "markup",
    [
        "".join(
            f"<li><b class=c{number}>x" for number in range(30_000)
        ),  # a parser repeats each <b> in each item
        "<table>" * 400 + "<td>x" * 50_000,
        "&amp;" * 1_000_000,
        "&" * 1_000_000,
        "<" * 1_000_000,
        "<!" * 100_000,
        "x" * 20_000_000,
        "<a href=" + "x" * 10_000_000,
        "<script>" + "</scrip" * 1_000_000,
        "<ul>" * 400 + "<li>x" * 10_000,
    ],
)
def test_markup_that_would_cost_a_parser_dearly_is_read(markup: str) -> None:
    assert isinstance(text_of(f"<p>{PROSE}</p>{markup}", main_content=True), str)


@pytest.mark.parametrize(
    ("reference", "text"),
    [("&#xD800;", "\ufffd"), ("&#0;", "\ufffd"), ("&#1;1&#2;", "1"), ("&#x110000;", "\ufffd")],
)
def test_references_to_what_is_no_character_never_make_one(reference: str, text: str) -> None:
    assert text_of(f"<p>a{reference}b</p>") == f"a{text}b"


def test_control_characters_of_the_page_are_not_taken_for_marks() -> None:
    assert text_of("<p>a\x01" + "0\x02b\x00c\x1cd\x0e</p>") == "a0bcd"


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_text_or_a_reasoned_rejection(content: bytes) -> None:
    try:
        title, text = extract_html(b"<title>x<p>" + content, None, reader_limits())
    except RecordRejected as problem:
        assert problem.reason in RejectReason
    else:
        (title + text).encode()


TAGS = re.findall(
    "<.*?>",
    "<div></div><p></p><li><ul></ul><b></b><a href=#></a><table></table><tr><td></td><pre></pre><h2></h2><ol></ol><dd><br><hr>"
    "<caption><!-- --><span></span></section><form></form>",
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(TAGS)))
def test_no_word_is_lost_or_doubled_whatever_the_tags(tags: list[str]) -> None:
    words = [f"w{number}" for number in range(len(tags))]
    markup = "".join(tag + word + " " for tag, word in zip(tags, words, strict=True))
    assert re.findall(r"w\d+", text_of(markup)) == words


def test_a_page_over_the_limit_is_too_large(limits_with: Callable[..., ReaderLimits]) -> None:
    with pytest.raises(RecordRejected) as caught:
        extract_html(b"x" * 101, None, limits_with(max_record_bytes=100))
    assert caught.value.reason is RejectReason.TOO_LARGE


def test_an_html_file_is_one_record(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "a.html"
    path.write_text(ARTICLE, "utf-8")
    (record,) = read_file(path, "html", limits)
    assert isinstance(record, Record)
    assert (record.locator, record.title) == ("0", "On Shingles & more")

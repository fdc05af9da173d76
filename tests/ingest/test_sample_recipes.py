"""The sample's parsers on small inputs."""

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.errors import ConfigError
from phoenix_assets.ingest.sample import roff
from phoenix_assets.ingest.sample.build import load_sample_config
from phoenix_assets.ingest.sample.config import Faq, Novel, SampleConfig
from phoenix_assets.ingest.sample.faq import faq, question_answers
from phoenix_assets.ingest.sample.parallel_pairs import page_pairs
from phoenix_assets.ingest.sample.plain_texts import fortune_entries, novel
from phoenix_assets.ingest.sample.warc_pages import Page, edit_page, position, visible_characters

DAY = datetime.date(2024, 1, 1)
HELP_EN = """<html><body><h1 id="hd_id1" dir="auto">Saving</h1>
<p id="par_id1" class="paragraph">Press <b>Save</b> &amp; wait.</p>
<p id="par_id2" class="paragraph">Not translated.</p>
<p id="par_id3">Twice.</p><p id="par_id3">Twice again.</p></body></html>"""
HELP_ZH = """<html><body><h1 id="hd_id1" dir="auto">保存</h1>
<p id="par_id1" class="paragraph">按「保存」
并等待。</p>
<p id="par_id2" class="paragraph">Not translated.</p>
<p id="par_id3">两次。</p></body></html>"""


def test_paragraphs_with_one_id_are_a_pair() -> None:
    assert list(page_pairs(HELP_EN, HELP_ZH, 0.3)) == [
        ("Saving", "保存"),
        ("Press Save & wait.", "按「保存」 并等待。"),
    ]


def test_a_heading_that_asks_is_a_question_and_the_text_under_it_the_answer() -> None:
    page = """<html><head><title>A.1 What is it? | Site</title></head><body>
    <p>It is <i>this</i>.</p><h2>A.1.1 Why?</h2><p>Because.</p><ul><li>First</li><li>Second</li></ul>
    <h2>A note</h2><p>Not an answer.</p><h2>7.1. 什么？</h2><p>这个。</p>
    <div class="book-navigation-1"><div><a href="x">next</a><br></div></div></body></html>"""
    assert list(question_answers(page, 1)) == [
        ("A.1 What is it?", "It is this."),
        ("A.1.1 Why?", "Because.\n\nFirst\n\nSecond"),
        ("7.1. 什么？", "这个。"),
    ]


def test_short_answers_are_left_out() -> None:
    assert list(question_answers("<h2>Why?</h2><p>No.</p>", 4)) == []


def test_answers_become_json_lines_without_repeats() -> None:
    spec = Faq(
        recipe="faq", source="qa", delivery="d", received=DAY, vendor="v", format="qa_jsonl",
        archives=("a",), min_answer_characters=1,
    )  # fmt: skip
    page = "<h2>什么？</h2><p>这个。</p>".encode()
    files = faq(spec, {"a": {"1.html": page, "2.html": page}}, None)
    assert [json.loads(line) for line in files["a.jsonl"].splitlines()] == [
        {"question": "什么？", "answer": "这个。"}
    ]


def test_a_manual_page_becomes_headings_and_paragraphs() -> None:
    source = r""".\" comment
.TH LS 1 "2022" "GNU"
.de XX \" a definition
never printed
..
.SH 名称
ls \- 列出目录内容
.PP
见 \fBls\fP\|(1)。
.TP
.BR -a ", " --all
不忽略
.nf
.B one
  two
.fi
.if n .br
.SH "SEE ALSO"
\(bu \*(lqx\*(rq"""
    assert roff.render(source).split("\n\n") == [
        "LS(1)", "名称", "ls - 列出目录内容", "见 ls(1)。", "-a, --all 不忽略", "one\n  two",
        "SEE ALSO", "• “x”\n",
    ]  # fmt: skip


@given(st.text(alphabet=st.characters(exclude_characters="\\", exclude_categories=("Cs",))))
def test_text_without_backslashes_has_no_escapes(text: str) -> None:
    assert roff.unescape(text) == text


@given(st.text(alphabet=st.sampled_from(list("\\.'\"fB(bu*[]{}abc \n"))))
def test_any_manual_page_renders(source: str) -> None:
    assert roff.render(source).endswith("\n")


def test_mdoc_pages_are_recognised() -> None:
    assert roff.is_mdoc(".Dd May 1, 2020\n.Dt LS 1\n")
    assert not roff.is_mdoc(".TH LS 1\n")


def test_fortunes_lose_their_colours() -> None:
    assert fortune_entries("\x1b[32m《春晓》\x1b[m\n春眠不觉晓\n%\n\x1b[1;33m二\x1b[m\n%\n") == [
        "《春晓》\n春眠不觉晓",
        "二",
    ]


def test_chapters_become_numbered_text_files() -> None:
    spec = Novel(
        recipe="novel", source="book", delivery="d", received=DAY, vendor="v", format="txt",
        archive="a", member="m", title="t", author="w", first=2, last=3,
    )  # fmt: skip
    stored = json.dumps(["第一回\n\n\t甲", "第二回　题\n\n\t乙", "第三回\n\n\t丙"]).encode()
    assert novel(spec, {"a": {"m": stored}}, None) == {
        "002.txt": "第二回 题\n\n乙\n".encode(),
        "003.txt": "第三回\n\n丙\n".encode(),
    }


def test_an_edited_page_keeps_its_text_and_gains_three_changes() -> None:
    body = "<h1>题</h1><p>第一段。</p><p>无句号</p><footer>f</footer>".encode()
    page = Page("https://a.example/zh/x.html", "x.html", "zh-CN", body)
    edited = edit_page(page, "https://b.example/")
    assert edited.url == "https://b.example/zh-CN/x.html"
    text = edited.body.decode("utf-8")
    assert "<h1>题</h1><p>更新日期" in text
    assert "<p>第一段。 本段内容" in text
    assert "同步。</p></footer>" in text
    assert edit_page(page, "https://b.example/") == edited


def test_navigation_does_not_count_as_text() -> None:
    assert visible_characters(b"<nav>menu</nav><p>a b &amp;</p><!-- c --><script>d</script>") == 3


@given(st.text())
def test_a_path_has_one_position(path: str) -> None:
    assert 0 <= position(path) == position(path) < 2**63


def test_a_delivery_cannot_mix_licences_silently() -> None:
    values = load_sample_config().model_dump(mode="json", exclude_none=True)
    handbook = next(one for one in values["deliveries"] if one["delivery"] == "edu-manuals-2024-06")
    handbook["archives"].append("anarchism")
    values["archives"]["anarchism"]["licence"] = "MIT"
    with pytest.raises(ValueError, match=r"mixes archives under \['GPL-2.0-or-later', 'MIT'\]"):
        SampleConfig.model_validate(values)


def test_a_misspelt_archive_is_named() -> None:
    values = load_sample_config().model_dump(mode="json", exclude_none=True)
    values["archives"].pop("anarchism")
    with pytest.raises(ValueError, match="anarchist-faq-2024-07 reads archives that are not listed"):
        SampleConfig.model_validate(values)


def test_a_missing_file_is_a_configuration_error(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_sample_config(tmp_path / "sample.yaml")

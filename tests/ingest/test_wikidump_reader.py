"""MediaWiki dumps become articles in plain text."""

import bz2
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject
from phoenix_assets.ingest.wikitext import parsing_cost, wikitext_to_text

MEDIA = {"file", "image", "category", "文件", "分类"}

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="zh">
<siteinfo><sitename>Wikipedia</sitename><base>https://zh.wikipedia.org/wiki/Wikipedia:%E9%A6%96</base><namespaces>
<namespace key="0" case="first-letter" /><namespace key="1" case="first-letter">Talk</namespace>
<namespace key="6" case="first-letter">文件</namespace><namespace key="14" case="first-letter">分类</namespace>
</namespaces></siteinfo>
"""


def page(number: int, title: str, text: str, ns: str | None = "0", redirect: str = "") -> str:
    return (
        f"<page><title>{escape(title)}</title>{'' if ns is None else f'<ns>{ns}</ns>'}<id>{number}</id>{redirect}"
        f"<revision><id>{number}99</id><timestamp>2024-05-01T00:00:00Z</timestamp>"
        f"<contributor><username>title</username><id>5</id></contributor>"
        f"<text xml:space='preserve'>{escape(text)}</text></revision></page>\n"
    )


def dump(*pages: str) -> bytes:
    return (HEAD + "".join(pages) + "</mediawiki>").encode()


def read(path: Path, content: bytes, limits: ReaderLimits) -> list[Record | Reject]:
    path.write_bytes(content)
    return list(read_file(path, "mediawiki", limits))


ARTICLE = """{{Infobox|a={{b|c}}}}
'''数学'''是研究[[数量]]与[[结构|结构]]的学科<ref>某书</ref>。[[文件:a.png|thumb|图片说明]]
== 历史 ==
* 古代
* 现代
公式 <math>a^2+b^2</math> 成立。
{| class="wikitable"
| 表格
|}
[[分类:数学]]
"""


def test_an_article_becomes_text_with_its_address_and_ids(tmp_path: Path, limits: ReaderLimits) -> None:
    (record,) = read(tmp_path / "a.xml", dump(page(7, "数学 & 逻辑", ARTICLE)), limits)
    assert isinstance(record, Record)
    assert record.text.split("\n") == [
        "数学是研究数量与结构的学科。",
        "历史",
        "古代",
        "现代",
        "公式 $a^2+b^2$ 成立。",
    ]
    assert (record.locator, record.title, record.lang) == ("7", "数学 & 逻辑", "zh")
    assert record.url == "https://zh.wikipedia.org/wiki/%E6%95%B0%E5%AD%A6_%26_%E9%80%BB%E8%BE%91"
    assert (record.meta["page"], record.meta["revision"]) == ("7", "799")


def test_a_bzip2_dump_is_read(tmp_path: Path, limits: ReaderLimits) -> None:
    content = bz2.compress(dump(page(1, "A", "Alpha."), page(2, "B", "Beta.")))
    results = read(tmp_path / "a.xml.bz2", content, limits)
    assert [result.text for result in results if isinstance(result, Record)] == ["Alpha.", "Beta."]


def test_redirects_and_other_namespaces_leave_no_trace(tmp_path: Path, limits: ReaderLimits) -> None:
    content = dump(
        page(1, "A", "#REDIRECT [[B]]"),
        page(2, "C", "text", redirect='<redirect title="B" />'),
        page(3, "Talk:A", "text", ns="1"),
        page(4, "Talk:B", "an old dump says so only by the title", ns=None),
        page(5, "2001: A Space Odyssey", "A film.", ns=None),
    )
    results = read(tmp_path / "a.xml", content, limits)
    assert [result.locator for result in results] == ["5"]


def test_a_page_of_templates_is_quarantined_as_empty(tmp_path: Path, limits: ReaderLimits) -> None:
    (reject,) = read(tmp_path / "a.xml", dump(page(1, "A", "{{only|this}}")), limits)
    assert isinstance(reject, Reject)
    assert (str(reject.reason), reject.locator, reject.payload) == ("empty_text", "1", b"{{only|this}}")


@pytest.mark.parametrize("compress", [bytes, bz2.compress])
def test_a_truncated_dump_gives_the_pages_before_its_end(
    compress: Callable[[bytes], bytes], tmp_path: Path, limits: ReaderLimits
) -> None:
    content = dump(*(page(number, f"P{number}", f"Text {number}.") for number in range(3)))
    cut = content.index(b"P2") if compress is bytes else None
    packed = compress(content[:cut]) if cut else compress(content)[:-20]
    results = read(tmp_path / "a.xml", packed, limits)
    assert isinstance(results[-1], Reject)
    assert str(results[-1].reason) == "truncated"
    if cut:
        assert [type(result) for result in results] == [Record, Record, Reject]


def test_malformed_xml_is_corrupt(tmp_path: Path, limits: ReaderLimits) -> None:
    content = dump(page(1, "A", "Alpha."), "<page><title>x</page>", page(2, "B", "Beta."))
    results = read(tmp_path / "a.xml", content, limits)
    assert [type(result) for result in results] == [Record, Reject]
    assert isinstance(results[-1], Reject)
    assert str(results[-1].reason) == "corrupt"


def test_entity_expansion_is_refused(tmp_path: Path, limits: ReaderLimits) -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    (reject,) = read(tmp_path / "a.xml", laughs + dump(page(1, "A", "x")), limits)
    assert isinstance(reject, Reject)
    assert str(reject.reason) == "bomb"


def test_a_bzip2_bomb_is_refused(tmp_path: Path, limits: ReaderLimits) -> None:
    bomb = bz2.compress(dump(page(1, "A", "Alpha."), page(2, "B", "x" * 60_000_000)))
    results = read(tmp_path / "a.xml.bz2", bomb, limits)
    assert isinstance(results[-1], Reject)
    assert str(results[-1].reason) == "bomb"


def test_a_page_over_the_limit_is_quarantined_and_the_next_one_read(
    tmp_path: Path, limits_with: Callable[..., ReaderLimits]
) -> None:
    content = dump(page(1, "A", "long " * 500_000), page(2, "B", "Beta."))
    results = read(tmp_path / "a.xml", content, limits_with(max_record_bytes=1_000_000))
    assert isinstance(results[0], Reject)
    assert str(results[0].reason) == "too_large"
    assert isinstance(results[1], Record)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("-{zh-hans:计算机;zh-hant:電腦;}-科学", "计算机科学"),
        ("-{H|zh-cn:甲;zh-tw:乙}-正文", "正文"),
        ("-{原文}-", "原文"),
        (
            "<syntaxhighlight lang='py'>\ndef f():\n    return [[1]]\n</syntaxhighlight>",
            "def f():\n    return [[1]]",
        ),
        ("[[Image:x.jpg|thumb|a [[link]] inside]]text", "text"),
        ("[[fr:Mathématiques]]text[[Category:X]]", "text"),
        ("[http://e.org an example] here", "an example here"),
        ("so <math>x^{2}<y</math> holds", "so $x^{2}<y$ holds"),
        (":<math display='block'>\\alpha</math>", "$$\n\\alpha\n$$"),
        ("the set {{math|''S''}} of {{mvar|n}} {{cite|x}}", "the set S of n"),
        ("a <!-- comment --> b __NOTOC__", "a b"),
        ("name ({{lang|x}}, ) end", "name end"),
        ("''italic'' and '''bold'''", "italic and bold"),
    ],
)
def test_markup_becomes_readable_text(markup: str, text: str) -> None:
    assert wikitext_to_text(markup, MEDIA) == text


@pytest.mark.parametrize("opener", ["{{a|", "[[b|", "[http://e.org ", "<ref>", "<math>", "{|\n", "-{"])
def test_a_page_that_leaves_everything_open_is_a_bomb(
    opener: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    hostile = page(1, "A", "}}]]]</x>" * 3000 + opener * 3000)
    results = read(tmp_path / "a.xml", dump(hostile, page(2, "B", "Beta.")), limits)
    assert [str(result.reason) if isinstance(result, Reject) else "record" for result in results] == [
        "bomb",
        "record",
    ]


def test_a_long_ordinary_article_is_cheap(limits: ReaderLimits) -> None:
    text = "{{a|{{b|[[c]]}}}} [http://e.org d]<ref name=x/><ref>e</ref><br> [0, 1) *f\n" * 10_000
    assert parsing_cost(text) <= limits.wiki.max_parsing_cost

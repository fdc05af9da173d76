"""Translation memories become documents of consecutive pairs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en-US" datatype="plaintext" segtype="sentence"/><body>
"""
TAIL = "</body></tmx>"


def unit(*variants: tuple[str, str]) -> str:
    return (
        "<tu>"
        + "".join(f'<tuv xml:lang="{lang}"><seg>{text}</seg></tuv>' for lang, text in variants)
        + "</tu>"
    )


def read(path: Path, content: str | bytes, limits: ReaderLimits) -> list[Record | Reject]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_file(path, "tmx", limits))


def found(results: list[Record | Reject]) -> list[tuple[str, str]]:
    return [(r.locator, r.text if isinstance(r, Record) else str(r.reason)) for r in results]


def test_units_become_pairs_with_the_source_language_first(tmp_path: Path, limits: ReaderLimits) -> None:
    body = unit(("zh-CN", "你好，\n 世界。"), ("en-US", "Hello, world.")) + unit(
        ("en-US", "Bye."), ("zh-CN", "再见。")
    )
    (record,) = read(tmp_path / "a.tmx", HEAD + body + TAIL, limits)
    assert record == Record(
        "1-2",
        "",
        "",
        "",
        "Hello, world.\n你好， 世界。\nBye.\n再见。",
        {"langs": ["en-US", "zh-CN"], "pairs": 2},
    )


def test_the_order_of_languages_is_configuration(
    tmp_path: Path, limits_with: Callable[..., ReaderLimits]
) -> None:
    limits = limits_with(parallel={"pairs_per_document": 50, "languages": ["zh", "en"]})
    body = unit(("fr", "Salut."), ("en-US", "Hello."), ("zh-CN", "你好。"))
    assert found(read(tmp_path / "a.tmx", HEAD + body + TAIL, limits)) == [("1-1", "你好。\nHello.\nSalut.")]


def test_inline_codes_go_and_what_they_enclose_stays(tmp_path: Path, limits: ReaderLimits) -> None:
    text = 'Press <bpt i="1">&lt;b&gt;</bpt>F1<ept i="1">&lt;/b&gt;</ept> <ph>{0}</ph>or <hi>now</hi>.'
    body = unit(("en", text), ("zh", "按 F1。"))
    assert found(read(tmp_path / "a.tmx", HEAD + body + TAIL, limits)) == [
        ("1-1", "Press F1 or now.\n按 F1。")
    ]


def test_units_that_are_no_pairs_are_quarantined_and_the_rest_read(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    body = "".join(
        (
            unit(("en", "One."), ("zh", " ")),
            unit(("en", "Two."), ("en", "Two again."), ("zh", "二。")),
            unit(("en", "Three.")),
            '<tu><tuv xml:lang="en"><seg>Four.</seg><seg>Or more.</seg></tuv><tuv xml:lang="zh"><seg>四。</seg></tuv></tu>',
            "<tu><tuv><seg>Five.</seg></tuv><tuv xml:lang='zh'><seg>五。</seg></tuv></tu>",
            unit(("en", "Six."), ("zh", "六。")),
        )
    )
    results = read(tmp_path / "a.tmx", HEAD + body + TAIL, limits)
    assert found(results) == [
        ("1", "empty_text"),
        ("2", "corrupt"),
        ("3", "empty_text"),
        ("4", "corrupt"),
        ("5", "corrupt"),
        ("6-6", "Six.\n六。"),
    ]
    assert isinstance(results[1], Reject)
    assert results[1].payload == "Two.\nTwo again.\n二。".encode()


BOMB = '<!DOCTYPE tmx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BOMB + "<tmx><body>" + unit(("en", "&b;"), ("zh", "一")) + TAIL, [("", "bomb")]),
        ('<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/passwd">]><tmx/>', [("", "bomb")]),
        (HEAD + "<a>" * 100_000, [("", "bomb")]),
        (
            HEAD + unit(("en", "One."), ("zh", "一。")) + "<tu><tuv",
            [("", "truncated"), ("1-1", "One.\n一。")],
        ),
        (HEAD + unit(("en", "One."), ("zh", "一。")) + "</tu>", [("", "corrupt"), ("1-1", "One.\n一。")]),
    ],
    ids=["entities", "external entity", "depth", "cut", "not well-formed"],
)
def test_what_cannot_be_read_on_is_told(
    content: str, expected: list[tuple[str, str]], tmp_path: Path, limits: ReaderLimits
) -> None:
    assert sorted(found(read(tmp_path / "a.tmx", content, limits))) == expected

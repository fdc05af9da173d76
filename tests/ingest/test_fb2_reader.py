"""FictionBooks become chapters, plain and zipped, whatever their encoding; broken ones give what comes before."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

# The opening of Tolstoy's Anna Karenina, in the public domain.
LINE = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. "


def section(title: str, body: str) -> str:
    return f"<section><title><p>{title}</p></title>{body}</section>"


def fb2(sections: str, encoding: str = "utf-8") -> str:
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>'
        '<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0" xmlns:l="http://www.w3.org/1999/xlink">'
        "<description><title-info><author><first-name>Лев</first-name> <last-name>Толстой</last-name></author>"
        "<book-title>Анна Каренина</book-title><lang>ru</lang></title-info></description>"
        f"<body>{sections}</body><body name='notes'><section id='n1'><p>Примечание.</p></section></body>"
        f"<binary id='cover.jpg' content-type='image/jpeg'>{'QUJD' * 1000}</binary></FictionBook>"
    )


BOOK = section("I", f"<p>{LINE * 4}</p>") + section(
    "II", f"<p>{LINE * 3}<a l:href='#n1' type='note'>[1]</a></p>"
)


def read(content: bytes, tmp_path: Path, limits: ReaderLimits) -> list[Record | Reject]:
    (tmp_path / "a.fb2").write_bytes(content)
    return list(read_file(tmp_path / "a.fb2", "fb2", limits))


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251", "koi8-r", "utf-16"])
def test_a_book_is_read_chapter_by_chapter_in_its_encoding(
    encoding: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    first, second, notes = read(fb2(BOOK, encoding).encode(encoding), tmp_path, limits)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert isinstance(notes, Record)
    assert first.text == f"I\n\n{(LINE * 4).strip()}"
    assert second.text.endswith("[1]")
    assert notes.text == "Примечание."
    assert (first.title, first.lang, first.meta["author"]) == ("Анна Каренина", "ru", "Лев Толстой")
    assert second.meta["heading"] == "II"


def test_a_chinese_book_in_gb18030_is_read(tmp_path: Path, limits: ReaderLimits) -> None:
    content = fb2(section("第一回", f"<p>{'话说天下大势，分久必合。' * 30}</p>"), "gb18030").encode("gb18030")
    first, *_ = read(content, tmp_path, limits)
    assert isinstance(first, Record)
    assert first.text.startswith("第一回\n\n话说天下大势")


def test_verses_stay_lines_and_tables_become_markdown(tmp_path: Path, limits: ReaderLimits) -> None:
    body = (
        "<poem><stanza><v>Буря мглою небо кроет,</v><v>Вихри снежные крутя;</v></stanza></poem>"
        "<table><tr><th>год</th><th>том</th></tr><tr><td>1878</td><td>1</td></tr></table>"
    )
    (record,) = read(fb2(section("Зимний вечер", body)).encode(), tmp_path, limits)
    assert isinstance(record, Record)
    assert "Буря мглою небо кроет,\nВихри снежные крутя;" in record.text
    assert "| год | том |\n| --- | --- |\n| 1878 | 1 |" in record.text


def test_every_book_of_an_archive_is_read_and_a_broken_one_costs_no_other(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    with zipfile.ZipFile(tmp_path / "a.fb2.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bad.fb2", "<html/>")
        archive.writestr("good.fb2", fb2(BOOK))
        archive.writestr("../out.fb2", fb2(BOOK))
    results = list(read_file(tmp_path / "a.fb2.zip", "fb2", limits))
    rejects = {result.locator: str(result.reason) for result in results if isinstance(result, Reject)}
    assert rejects == {"bad.fb2": "corrupt", "../out.fb2": "path_escapes"}
    assert [r.locator for r in results if isinstance(r, Record)] == ["good.fb2#1", "good.fb2#2", "good.fb2#3"]


@pytest.mark.parametrize(
    ("damage", "reason"), [("</section", "truncated"), ("<p>AT&T</p>", "corrupt"), ("</p></p>", "corrupt")]
)
def test_a_broken_book_gives_the_chapters_before_the_damage(
    damage: str, reason: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    content = fb2(BOOK + "<section><p>") + "x"
    cut = content[: content.index("<section><p></body>") + 9] + damage
    results = read((cut if reason == "truncated" else cut + content[-200:]).encode(), tmp_path, limits)
    assert [str(r.reason) for r in results if isinstance(r, Reject)] == [reason]
    assert sum(isinstance(result, Record) for result in results) == 2


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE FictionBook [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE F [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_are_refused(doctype: str, tmp_path: Path, limits: ReaderLimits) -> None:
    content = fb2(BOOK).replace("<FictionBook", f"{doctype}<FictionBook", 1)
    (reject,) = read(content.encode(), tmp_path, limits)
    assert isinstance(reject, Reject)
    assert str(reject.reason) == "bomb"


def test_too_many_elements_of_a_chapter_are_a_bomb(
    tmp_path: Path, limits_with: Callable[..., ReaderLimits]
) -> None:
    limits = limits_with(xml={"max_depth": 100, "max_elements": 1000})
    results = read(fb2(BOOK + section("III", "<p/>" * 2000)).encode(), tmp_path, limits)
    assert [str(r.reason) for r in results if isinstance(r, Reject)] == ["bomb"]
    assert sum(isinstance(result, Record) for result in results) == 2


def test_a_book_that_says_a_wrong_encoding_is_rejected(tmp_path: Path, limits: ReaderLimits) -> None:
    (reject,) = read(fb2(BOOK, "gb18030").encode("utf-16-be"), tmp_path, limits)
    assert isinstance(reject, Reject)

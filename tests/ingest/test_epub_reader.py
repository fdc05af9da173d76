"""Books become chapters in reading order; hostile archives become rejects."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""

OPF = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/" version="3.0">
<metadata><dc:title>三国演义</dc:title><dc:language>zh-CN</dc:language><dc:creator>罗贯中</dc:creator></metadata>
<manifest>
<item id="two" href="text/a%202.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/z1.xhtml" media-type="application/xhtml+xml"/>
<item id="half" href="text/half.xhtml" media-type="application/xhtml+xml"/>
<item id="css" href="style.css" media-type="text/css"/>
</manifest>
<spine><itemref idref="half"/><itemref idref="one"/><itemref idref="css"/><itemref idref="two"/>
<itemref idref="nothing"/></spine></package>"""

LONG = "话说天下大势，分久必合，合久必分。" * 20


def chapter(text: str, title: str = "") -> str:
    return (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">'
        f"<head><title>{title}</title></head><body><p>{text}</p></body></html>"
    )


def book() -> dict[str, str | bytes]:
    return {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": OPF,
        "OEBPS/text/half.xhtml": chapter("上卷"),
        "OEBPS/text/z1.xhtml": chapter(f"第一回 {LONG}", "第一回"),
        "OEBPS/text/a 2.xhtml": chapter(f"第二回 {LONG}", "第二回"),
        "OEBPS/style.css": "p {}",
    }


def write(path: Path, members: dict[str, str | bytes], prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(prefix + name, content)
    return path


def read(path: Path, limits: ReaderLimits) -> list[Record | Reject]:
    return list(read_file(path, "epub", limits))


def only_reason(results: list[Record | Reject]) -> str:
    (reject,) = results
    assert isinstance(reject, Reject)
    return str(reject.reason)


@pytest.mark.parametrize("prefix", ["", "三国演义/"])
def test_chapters_come_in_spine_order_also_from_a_nested_folder(
    prefix: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    first, second = read(write(tmp_path / "b.epub", book(), prefix), limits)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert first.text.startswith("上卷\n\n第一回")
    assert second.text.startswith("第二回")
    assert (first.title, first.lang, first.meta["author"]) == ("三国演义", "zh", "罗贯中")
    assert (second.locator, second.meta["chapter"]) == (f"{prefix}OEBPS/text/a 2.xhtml", 2)


def test_without_a_package_all_pages_are_read_in_name_order(tmp_path: Path, limits: ReaderLimits) -> None:
    members = {"b.xhtml": chapter(f"乙{LONG}"), "a.html": chapter(f"甲{LONG}"), "x.png": b"\x89PNG"}
    results = read(write(tmp_path / "b.epub", members), limits)
    assert [result.text[0] for result in results if isinstance(result, Record)] == ["甲", "乙"]


def test_a_package_that_is_no_xml_is_passed_over(tmp_path: Path, limits: ReaderLimits) -> None:
    results = read(write(tmp_path / "b.epub", book() | {"OEBPS/book.opf": "<package"}), limits)
    assert sum(isinstance(result, Record) for result in results) == 2


def test_a_short_book_is_still_one_record(tmp_path: Path, limits: ReaderLimits) -> None:
    (record,) = read(write(tmp_path / "b.epub", {"a.xhtml": chapter("短"), "b.xhtml": chapter("诗")}), limits)
    assert isinstance(record, Record)
    assert record.text == "短\n\n诗"


def test_a_book_without_text_is_quarantined(tmp_path: Path, limits: ReaderLimits) -> None:
    members = {"a.xhtml": "<html><body><img src='scan.png'/></body></html>"}
    assert only_reason(read(write(tmp_path / "b.epub", members), limits)) == "empty_text"


def test_a_zip_bomb_is_refused_and_other_chapters_read(
    tmp_path: Path, limits_with: Callable[..., ReaderLimits]
) -> None:
    limits = limits_with(ratio_floor_bytes=100_000)
    members = book() | {"OEBPS/text/z1.xhtml": b"<p>" + b"a" * 50_000_000}
    results = read(write(tmp_path / "b.epub", members), limits)
    assert ["record" if isinstance(result, Record) else str(result.reason) for result in results] == [
        "bomb",
        "record",
    ]


def test_too_many_members_are_a_bomb(tmp_path: Path, limits_with: Callable[..., ReaderLimits]) -> None:
    members: dict[str, str | bytes] = {f"{number}.xhtml": "x" for number in range(20)}
    assert only_reason(read(write(tmp_path / "b.epub", members), limits_with(max_members=10))) == "bomb"


@pytest.mark.parametrize(
    "name", ["../../etc/evil.xhtml", "/abs/evil.xhtml", "..\\evil.xhtml", "C:/evil.xhtml"]
)
def test_member_names_that_lead_outside_are_refused(name: str, tmp_path: Path, limits: ReaderLimits) -> None:
    results = read(write(tmp_path / "b.epub", {name: chapter(LONG), "ok.xhtml": chapter(LONG)}), limits)
    rejected = [result for result in results if isinstance(result, Reject)]
    assert [str(reject.reason) for reject in rejected] == ["path_escapes"]
    assert any(isinstance(result, Record) for result in results)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.epub"]


def test_entity_expansion_is_refused(tmp_path: Path, limits: ReaderLimits) -> None:
    laughs = '<!DOCTYPE package [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    opf = OPF.replace("<package", f"{laughs}<package", 1).replace("三国演义", "&b;")
    assert only_reason(read(write(tmp_path / "b.epub", book() | {"OEBPS/book.opf": opf}), limits)) == "bomb"


def test_an_external_entity_is_not_fetched(tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "secret").write_text("secret", "utf-8")
    doctype = f'<!DOCTYPE package [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    opf = OPF.replace("<package", f"{doctype}<package", 1).replace("三国演义", "&x;")
    assert only_reason(read(write(tmp_path / "b.epub", book() | {"OEBPS/book.opf": opf}), limits)) == "bomb"


def test_deeply_nested_xml_is_a_bomb(tmp_path: Path, limits: ReaderLimits) -> None:
    assert (
        only_reason(read(write(tmp_path / "b.epub", book() | {"OEBPS/book.opf": "<a>" * 500}), limits))
        == "bomb"
    )


def test_a_protected_book_is_encrypted_but_hidden_fonts_are_not(tmp_path: Path, limits: ReaderLimits) -> None:
    def encryption(algorithm: str) -> str:
        return (
            '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
            'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
            f'<enc:EncryptionMethod Algorithm="{algorithm}"/></enc:EncryptedData></encryption>'
        )

    aes = {"META-INF/encryption.xml": encryption("http://www.w3.org/2001/04/xmlenc#aes256-cbc")}
    fonts = {"META-INF/encryption.xml": encryption("http://www.idpf.org/2008/embedding")}
    assert only_reason(read(write(tmp_path / "a.epub", book() | aes), limits)) == "encrypted"
    assert sum(isinstance(r, Record) for r in read(write(tmp_path / "b.epub", book() | fonts), limits)) == 2


def test_a_truncated_archive_and_a_foreign_zip_are_told_apart(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write(tmp_path / "a.epub", book())
    path.write_bytes(path.read_bytes()[:-200])
    assert only_reason(read(path, limits)) == "truncated"
    assert only_reason(read(write(tmp_path / "b.epub", {"a.py": "x = 1"}), limits)) == "corrupt"


def test_a_damaged_chapter_does_not_cost_the_others(tmp_path: Path, limits: ReaderLimits) -> None:
    path = write(tmp_path / "b.epub", {"a.xhtml": chapter("甲" * 300), "b.xhtml": chapter(LONG)})
    content = bytearray(path.read_bytes())
    content[45:60] = bytes(15)
    path.write_bytes(content)
    results = read(path, limits)
    assert [isinstance(result, Record) for result in results] == [False, True]


def test_pages_without_a_package_come_in_the_natural_order_of_their_names(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    members = {f"chapter{number}.xhtml": chapter(f"{number}回{LONG}") for number in (10, 9, 1)}
    results = read(write(tmp_path / "b.epub", members), limits)
    assert [r.text.partition("回")[0] for r in results if isinstance(r, Record)] == ["1", "9", "10"]


def test_a_garbled_package_still_gives_order_and_title(tmp_path: Path, limits: ReaderLimits) -> None:
    garbled = OPF.replace("</metadata>", "").replace("&", "&&").replace("三国演义", "三国演义 & 水浒")
    first, second = read(write(tmp_path / "b.epub", book() | {"OEBPS/book.opf": garbled}), limits)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.title, first.lang) == ("三国演义 & 水浒", "zh")
    assert [first.text[:2], second.text[:3]] == ["上卷", "第二回"]


@pytest.mark.parametrize(
    "container", ["<container", "<container/>", CONTAINER.replace("book.opf", "gone.opf")]
)
def test_a_wrong_container_and_mimetype_do_not_matter(
    container: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    members = book() | {"META-INF/container.xml": container, "mimetype": "text/plain"}
    assert sum(isinstance(r, Record) for r in read(write(tmp_path / "b.epub", members), limits)) == 2


def test_the_container_names_the_package_of_several(tmp_path: Path, limits: ReaderLimits) -> None:
    members = {"a.opf": OPF.replace("三国演义", "样张")} | book()
    first, *_ = read(write(tmp_path / "b.epub", members), limits)
    assert isinstance(first, Record)
    assert first.title == "三国演义"


def test_a_self_closed_title_does_not_swallow_the_chapter(tmp_path: Path, limits: ReaderLimits) -> None:
    page = chapter(LONG).replace("<title></title>", "<title/><script src='a.js'/>")
    (record,) = read(write(tmp_path / "b.epub", {"a.xhtml": page}), limits)
    assert isinstance(record, Record)
    assert record.text == LONG


def test_broken_xhtml_is_read_as_html(tmp_path: Path, limits: ReaderLimits) -> None:
    page = f"<html><body><p>{LONG}<p><b>AT&T</i>{LONG}"
    (record,) = read(write(tmp_path / "b.epub", {"a.xhtml": page}), limits)
    assert isinstance(record, Record)
    assert record.text.count(LONG) == 2


def test_a_chapter_that_the_archive_lacks_is_rejected_by_name(tmp_path: Path, limits: ReaderLimits) -> None:
    members = book()
    del members["OEBPS/text/z1.xhtml"]
    reject, record = sorted(
        read(write(tmp_path / "b.epub", members), limits), key=lambda r: isinstance(r, Record)
    )
    assert isinstance(reject, Reject)
    assert isinstance(record, Record)
    assert (reject.locator, str(reject.reason)) == ("OEBPS/text/z1.xhtml", "corrupt")


def test_a_book_of_pictures_needs_ocr(tmp_path: Path, limits: ReaderLimits) -> None:
    members: dict[str, str | bytes] = {"1.xhtml": "<img src='1.jpg'/>", "1.jpg": b"\xff\xd8\xff"}
    assert only_reason(read(write(tmp_path / "b.epub", members), limits)) == "needs_ocr"

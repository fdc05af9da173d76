"""Word documents become Markdown; what is deleted, hidden or hostile stays out."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
STYLES = (
    f"<w:styles {W}><w:style w:styleId='1'><w:name w:val='heading 1'/></w:style>"
    "<w:style w:styleId='Sub'><w:name w:val='Own'/><w:pPr><w:outlineLvl w:val='1'/></w:pPr></w:style></w:styles>"
)
FOOTNOTES = (
    f"<w:footnotes {W}><w:footnote w:id='-1' w:type='separator'><w:p/></w:footnote>"
    "<w:footnote w:id='2'><w:p><w:r><w:t>罗贯中作。</w:t></w:r></w:p></w:footnote></w:footnotes>"
)
CORE = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>三国演义</dc:title><dc:creator>罗贯中</dc:creator>'
    "<dc:language>zh-CN</dc:language></cp:coreProperties>"
)


def paragraph(text: str, style: str = "", extra: str = "") -> str:
    properties = f"<w:pPr><w:pStyle w:val='{style}'/></w:pPr>" if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r>{extra}</w:p>"


def cell(text: str) -> str:
    return f"<w:tc>{paragraph(text)}</w:tc>"


BODY = (
    paragraph("第一回", "1")
    + paragraph("宴桃园豪杰三结义", "Sub")
    + paragraph(
        "话说天下大势", "", "<w:r><w:footnoteReference w:id='2'/></w:r><w:r><w:t>，分久必合。</w:t></w:r>"
    )
    + "<w:p><w:pPr><w:numPr><w:ilvl w:val='1'/></w:numPr></w:pPr><w:r><w:t>魏</w:t></w:r></w:p>"
    + "<w:p><w:del><w:r><w:delText>吴</w:delText></w:r></w:del><w:ins><w:r><w:t>蜀</w:t></w:r></w:ins>"
    + "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    + f"<w:tbl><w:tr>{cell('国')}{cell('主')}</w:tr><w:tr>{cell('蜀|汉')}"
    + f"<w:tc><w:tbl><w:tr>{cell('刘备')}</w:tr></w:tbl></w:tc></w:tr></w:tbl>"
    + "<w:p><m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
    + "<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></w:p>"
)


def docx(body: str = BODY) -> dict[str, str | bytes]:
    return {
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": f"<w:document {W} {M}><w:body>{body}<w:sectPr/></w:body></w:document>",
        "word/styles.xml": STYLES,
        "word/footnotes.xml": FOOTNOTES,
        "docProps/core.xml": CORE,
    }


def read(members: dict[str, str | bytes], tmp_path: Path, limits: ReaderLimits) -> list[Record | Reject]:
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return list(read_file(tmp_path / "a.docx", "docx", limits))


def only_reason(results: list[Record | Reject]) -> str:
    (reject,) = results
    assert isinstance(reject, Reject)
    return str(reject.reason)


def test_a_document_becomes_markdown(tmp_path: Path, limits: ReaderLimits) -> None:
    (record,) = read(docx(), tmp_path, limits)
    assert isinstance(record, Record)
    assert record.text.split("\n\n") == [
        "# 第一回",
        "## 宴桃园豪杰三结义",
        "话说天下大势[^1]，分久必合。",
        "  - 魏",
        "蜀",
        "| 国 | 主 |\n| --- | --- |\n| 蜀\\|汉 | \\| 刘备 \\| \\| --- \\| |",
        "(a+b)/2x^2",
        "[^1]: 罗贯中作。",
    ]
    assert (record.title, record.lang, record.meta["author"]) == ("三国演义", "zh", "罗贯中")


def test_a_document_without_styles_notes_or_properties_is_read(tmp_path: Path, limits: ReaderLimits) -> None:
    (record,) = read({"word/document.xml": docx(paragraph("话说"))["word/document.xml"]}, tmp_path, limits)
    assert isinstance(record, Record)
    assert (record.text, record.title) == ("话说", "")


def test_an_empty_document_is_an_error(tmp_path: Path, limits: ReaderLimits) -> None:
    assert only_reason(read(docx("<w:p/>"), tmp_path, limits)) == "empty_text"


def test_a_zip_that_is_no_document_is_corrupt(tmp_path: Path, limits: ReaderLimits) -> None:
    assert only_reason(read({"a.txt": "text"}, tmp_path, limits)) == "corrupt"


def test_entity_expansion_is_refused(tmp_path: Path, limits: ReaderLimits) -> None:
    laughs = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    members = docx() | {"word/document.xml": laughs + str(docx(paragraph("&b;"))["word/document.xml"])}
    assert only_reason(read(members, tmp_path, limits)) == "bomb"


def test_a_zip_bomb_is_refused(tmp_path: Path, limits_with: Callable[..., ReaderLimits]) -> None:
    members = docx(paragraph("a" * 30_000_000))
    assert only_reason(read(members, tmp_path, limits_with(ratio_floor_bytes=100_000))) == "bomb"


def test_a_truncated_body_is_an_error(tmp_path: Path, limits: ReaderLimits) -> None:
    members = docx()
    members["word/document.xml"] = str(members["word/document.xml"])[:-40]
    assert only_reason(read(members, tmp_path, limits)) == "truncated"


@pytest.mark.parametrize(
    ("content", "reason"), [("EncryptedPackage", "encrypted"), ("WordDocument", "corrupt")]
)
def test_a_document_with_a_password_is_told_from_an_old_one(
    content: str, reason: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    # Both are Compound File Binary files; what differs are the names of their streams, in UTF-16.
    (tmp_path / "a.docx").write_bytes(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + content.encode("utf-16-le")
    )
    assert only_reason(list(read_file(tmp_path / "a.docx", "docx", limits))) == reason

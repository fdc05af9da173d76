"""PDFs become running text; scanned and protected ones say so."""

import io
import textwrap
import zlib
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject
from phoenix_assets.schema import RejectReason

Placed = tuple[float, float, str]  # x, y, text

LATIN = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
CHINESE = (
    b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [<< "
    b"/Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) "
    b"/Ordering (GB1) /Supplement 2 >> /DW 1000 >>] >>"
)
SCAN = (
    b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 "
    b"/Length 1 >>\nstream\n\x80\nendstream"
)


def shown(x: float, y: float, text: str) -> bytes:
    if text.isascii():
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode()
        return b"BT /F1 12 Tf %d %d Td (%s) Tj ET" % (x, y, escaped)
    return b"BT /F2 12 Tf %d %d Td <%s> Tj ET" % (x, y, text.encode("utf-16-be").hex().encode())


def pdf_bytes(pages: list[list[str] | list[Placed] | None], encrypt: bytes = b"") -> bytes:
    """A PDF 1.4: lines one below the other, or where they are placed; None is a scanned page."""
    objects = [b"", LATIN, CHINESE, SCAN]
    kids = []
    for page in pages:
        placed = [
            line if isinstance(line, tuple) else (72, 720 - 14 * number, line)
            for number, line in enumerate(page or [])
        ]
        stream = (
            b"q 500 0 0 700 50 50 cm /Im Do Q" if page is None else b" ".join(shown(*line) for line in placed)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources << "
            b"/Font << /F1 2 0 R /F2 3 0 R >> /XObject << /Im 4 0 R >> >> >>"
            % (2 * len(pages) + 5, len(objects))
        )
        kids.append(b"%d 0 R" % len(objects))
    objects.append(b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(pages)))
    objects[0] = b"<< /Type /Catalog /Pages %d 0 R >>" % len(objects)
    objects.append(b"<< /Title (A Tiny Book) >>")
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    trailer = b"/Size %d /Root 1 0 R /Info %d 0 R %s" % (len(objects) + 1, len(objects), encrypt)
    out.write(b"trailer << %s >>\nstartxref\n%d\n%%%%EOF\n" % (trailer, start))
    return out.getvalue()


def text_of(pages: list[list[str] | list[Placed] | None], tmp_path: Path, limits: ReaderLimits) -> str:
    (tmp_path / "a.pdf").write_bytes(pdf_bytes(pages))
    result = read(tmp_path / "a.pdf", limits)
    assert isinstance(result, Record)
    return result.text


BODY = ["The quick brown fox jumps over the lazy dog near the old river-", "bank and goes home."]


def read(path: Path, limits: ReaderLimits) -> Record | Reject:
    (result,) = read_file(path, "pdf", limits)
    return result


def test_headers_footers_and_page_numbers_go_and_words_are_joined(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    path = tmp_path / "a.pdf"
    openings = ("Whales sing.", "Foxes run far.", "Owls watch.", "Bees hum low.")
    endings = ("So it began.", "Nobody saw it.", "Rain fell all night.", "They slept.")
    pages = [
        ["A Tiny Book", opening, *BODY, ending, f"- {number} -"]
        for number, (opening, ending) in enumerate(zip(openings, endings, strict=True), 1)
    ]
    path.write_bytes(pdf_bytes(pages))
    result = read(path, limits)
    assert isinstance(result, Record)
    assert "A Tiny Book" not in result.text
    assert "- 1 -" not in result.text
    assert result.text.count("riverbank and goes home.") == 4
    assert result.text.startswith("Whales sing.")
    assert result.text.endswith("They slept.")
    assert (result.title, result.meta["pages"]) == ("A Tiny Book", 4)


def test_a_pdf_without_text_needs_ocr(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_bytes([[""], [""]]))
    result = read(path, limits)
    assert isinstance(result, Reject)
    assert str(result.reason) == "needs_ocr"


def test_a_protected_pdf_is_encrypted(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "a.pdf"
    lock = b"/ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >>"
    path.write_bytes(pdf_bytes([BODY], lock % (b"11" * 32, b"22" * 32)))
    result = read(path, limits)
    assert isinstance(result, Reject)
    assert str(result.reason) == "encrypted"


def test_garbage_after_the_magic_bytes_is_corrupt(tmp_path: Path, limits: ReaderLimits) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    result = read(path, limits)
    assert isinstance(result, Reject)
    assert str(result.reason) == "corrupt"


def test_a_chart_drawn_by_a_real_program_is_read(tmp_path: Path, limits: ReaderLimits) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("pdf")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.text(0.1, 0.5, "Perplexity of the validation set by step")
    figure.savefig(tmp_path / "a.pdf", format="pdf")
    result = read(tmp_path / "a.pdf", limits)
    assert isinstance(result, Record)
    assert "Perplexity of the validation set by step" in result.text


SENTENCE = "Three kingdoms fought for the empire, and none of them was to keep it in the end of all. "
# The opening of 三国演义, in the public domain.
OPENING = (
    "话说天下大势分久必合合久必分周末七国分争并入于秦及秦灭之后楚汉分争又并入于汉汉朝自高祖斩白蛇而起义一统天下"
    "后来光武中兴传至献帝遂分为三国推其致乱之由殆始于桓灵二帝桓帝禁锢善类崇信宦官"
)


def wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width)


def test_lines_of_english_become_paragraphs_with_spaces(tmp_path: Path, limits: ReaderLimits) -> None:
    first, second = wrapped(SENTENCE * 3, 80), wrapped(SENTENCE * 2, 80)
    placed = [(72.0, 720.0 - 14 * number, line) for number, line in enumerate(first)]
    placed += [(72.0, 690.0 - 14 * (len(first) + number), line) for number, line in enumerate(second)]
    assert text_of([placed], tmp_path, limits) == f"{(SENTENCE * 3).strip()}\n{(SENTENCE * 2).strip()}"


def test_lines_of_chinese_become_paragraphs_without_spaces(tmp_path: Path, limits: ReaderLimits) -> None:
    lines = [OPENING[:30], *[OPENING[at : at + 32] for at in range(30, len(OPENING), 32)]]
    placed = [
        (72.0 + (24 if number == 0 else 0), 720.0 - 14 * number, line) for number, line in enumerate(lines)
    ]
    again = [(x, y - 14 * len(lines), line) for x, y, line in placed]
    assert text_of([[*placed, *again]], tmp_path, limits) == f"{OPENING}\n{OPENING}"


def test_two_columns_are_read_one_after_the_other_below_their_title(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    left = wrapped("The left column tells of the north, where the rivers freeze. " * 8, 38)
    right = wrapped("The right column tells of the south, where they do not. " * 8, 38)
    page: list[Placed] = [(150, 740, "A title that stands across both of the columns of the page")]
    for number, lines in enumerate(zip(left, right, strict=False)):  # row by row, as some programs write
        page += [(72, 700 - 14 * number, lines[0]), (320, 700 - 14 * number, lines[1])]
    text = text_of([page], tmp_path, limits)
    title, body = text.split("\n", 1)
    assert title == "A title that stands across both of the columns of the page"
    assert body.startswith("The left column tells of the north, where the rivers freeze. The left")
    assert body.index("south") > body.rindex("north")


def test_a_table_is_read_row_by_row(tmp_path: Path, limits: ReaderLimits) -> None:
    rows = [[f"key {number}", f"value {number}"] for number in range(8)]
    page = [
        (72.0 + 200 * cell, 700.0 - 14 * at, text)
        for at, row in enumerate(rows)
        for cell, text in enumerate(row)
    ]
    assert text_of([page], tmp_path, limits).split("\n")[:2] == ["key 0 value 0", "key 1 value 1"]


def test_a_scanned_page_is_rejected_by_its_number_and_the_rest_goes_on(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf_bytes([[SENTENCE], None, [SENTENCE], [""]]))
    reject, record = read_file(tmp_path / "a.pdf", "pdf", limits)
    assert isinstance(reject, Reject)
    assert isinstance(record, Record)
    assert (reject.locator, reject.reason) == ("page 2", RejectReason.NEEDS_OCR)
    assert (record.text.count(SENTENCE.strip()), record.meta["pages_scanned"]) == (2, 1)


def test_scans_under_a_stamp_need_ocr(tmp_path: Path, limits: ReaderLimits) -> None:
    content = pdf_bytes([[f"Scanned by Example Ltd. {number}"] for number in range(5)])
    (tmp_path / "a.pdf").write_bytes(content)
    result = read(tmp_path / "a.pdf", limits)
    assert isinstance(result, Reject)
    assert result.reason is RejectReason.NEEDS_OCR


def test_an_indent_begins_a_paragraph_and_a_hyphen_joins_a_word(tmp_path: Path, limits: ReaderLimits) -> None:
    full = "x" * 60
    page: list[Placed] = [
        (72, 700, f"{full} king"),
        (72, 686, f"dom {full} a"),
        (96, 672, f"Indented {full[:50]}"),
        (72, 658, "end of the well-known trans-"),
        (72, 644, "former of a well-"),
        (72, 630, "known"),
    ]
    assert "\nIndented" in text_of([page], tmp_path, limits)


def test_items_of_a_list_and_of_a_table_of_contents_stay_lines(tmp_path: Path, limits: ReaderLimits) -> None:
    lines = ["1.4 Mouse . . . . . . . . . 19", "1.5 Pager........ 20", "- one", "- two", "and so on..."]
    assert text_of([lines], tmp_path, limits).split("\n") == [
        "1.4 Mouse … 19", "1.5 Pager … 20", "- one", "- two", "and so on...",
    ]  # fmt: skip


def test_a_page_that_unpacks_out_of_proportion_is_a_bomb(tmp_path: Path, limits: ReaderLimits) -> None:
    packed = zlib.compress(b"BT /F1 12 Tf 72 720 Td (a) Tj ET " * 500_000, 9)
    stream = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)
    whole = pdf_bytes([["x"]])
    start = whole.index(b"<< /Length 3")  # the content of the page
    (tmp_path / "a.pdf").write_bytes(whole[:start] + stream + whole[whole.index(b"endstream", start) + 9 :])
    result = read(tmp_path / "a.pdf", limits)
    assert isinstance(result, Reject)
    assert result.reason is RejectReason.BOMB

"""PDFs become running text; scanned and protected ones say so."""

import io
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.pdf import join_pages
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject


def pdf_bytes(pages: list[list[str]], encrypt: bytes = b"") -> bytes:
    """A PDF 1.4 with one line of text below the other on each page."""
    objects = [b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        shown = b" T* ".join(b"(%s) Tj" % line.encode("latin-1") for line in lines)
        stream = b"BT /F1 12 Tf 14 TL 72 720 Td " + shown + b" ET"
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        content = len(objects)
        objects.append(
            b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 2 0 R >> >> >>" % (2 * len(pages) + 3, content)
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


def test_a_line_that_recurs_within_the_text_stays(limits: ReaderLimits) -> None:
    pages = [f"head\nx{n}\nsame\ny{n}\nz{n}\nfoot {n}" for n in range(4)]
    text = join_pages(pages, limits.pdf)
    assert text.count("same") == 4
    assert "head" not in text
    assert "foot" not in text


def test_a_two_page_leaflet_keeps_its_edges(limits: ReaderLimits) -> None:
    assert join_pages(["head\na", "head\nb"], limits.pdf) == "head\na\nhead\nb"


def test_a_word_broken_over_two_pages_is_joined(limits: ReaderLimits) -> None:
    assert "transformer" in join_pages(
        ["one\ntwo trans-\n1", "former three\nfour\n2", "five\nsix\n3"], limits.pdf
    )


def test_dot_leaders_of_a_table_of_contents_become_one_mark(limits: ReaderLimits) -> None:
    text = join_pages(["1.4 Mouse . . . . . . . . . 19\n1.5 Pager........ 20\nand so on..."], limits.pdf)
    assert text.split("\n") == ["1.4 Mouse … 19", "1.5 Pager … 20", "and so on..."]

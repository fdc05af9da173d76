"""A PDF that costs too much costs itself alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject


def pdf_bytes(content: bytes, forms: list[bytes]) -> bytes:
    """A PDF 1.4 of one page, whose drawings may use the next one each as `/F`."""
    resources = [
        b"/Resources << /XObject << /F %d 0 R >> /Font << /T << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
        % (5 + number)
        for number in range(len(forms) + 1)
    ]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R %s >>" % resources[0],
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    objects += [
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] %s /Length %d >>\nstream\n%s\nendstream"
        % (used, len(form), form)
        for form, used in zip(forms, resources[1:], strict=True)
    ]
    body = b"%PDF-1.4\n"
    offsets = []
    for number, written in enumerate(objects, 1):
        offsets.append(b"%010d 00000 n \n" % len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, written)
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, b"".join(offsets))
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    return body + table + trailer


SOUND = pdf_bytes(b"BT /T 12 Tf 72 720 Td (A page with one line of text.) Tj ET", [])
# A drawing of ten drawings of ten drawings …: a hundred million lines in two kilobytes.
TANGLED = pdf_bytes(b"/F Do", [b"/F Do " * 10] * 8 + [b"0 0 m 9 9 l S"])


def read(content: bytes, tmp_path: Path, limits: ReaderLimits) -> Record | Reject:
    (tmp_path / "a.pdf").write_bytes(content)
    (result,) = read_file(tmp_path / "a.pdf", "pdf", limits)
    return result


@pytest.mark.parametrize(
    ("bound", "reason", "detail"),
    [
        ({"max_seconds": 1}, "too_slow", "PDFium is not done with it after 1 seconds of computing"),
        ({"max_memory_bytes": 2**28}, "corrupt", "takes more than 268435456 bytes"),
    ],
)
def test_a_tangled_page_is_given_up_and_the_next_file_read(
    bound: dict[str, int], reason: str, detail: str, tmp_path: Path, limits_with: Callable[..., ReaderLimits]
) -> None:
    limits = limits_with(pdf={**limits_with().pdf.model_dump(), **bound})
    tangled = read(TANGLED, tmp_path, limits)
    assert isinstance(tangled, Reject)
    assert tangled.reason == reason
    assert detail in tangled.detail
    assert tangled.payload == TANGLED[: limits.payload_bytes]
    sound = read(SOUND, tmp_path, limits)
    assert isinstance(sound, Record)
    assert sound.text == "A page with one line of text."


def test_the_same_process_reads_many_files(tmp_path: Path, limits: ReaderLimits) -> None:
    broken = read(SOUND[:100], tmp_path, limits)
    assert isinstance(broken, Reject)
    assert broken.reason == "corrupt"
    assert {type(read(SOUND, tmp_path, limits)) for _ in range(20)} == {Record}

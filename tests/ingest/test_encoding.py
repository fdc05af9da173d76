"""Which encoding a record is in, and when it is in none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.ingest.config import ReaderLimits, reader_limits
from phoenix_assets.ingest.encoding import decode
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

SIMPLIFIED = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦；及秦灭之后，楚汉分争，又并入于汉。"
TRADITIONAL = "話說天下大勢，分久必合，合久必分。周末七國分爭，並入於秦；及秦滅之後，楚漢分爭，又並入於漢。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SIMPLIFIED, "utf-8"),
        (SIMPLIFIED, "utf-8-sig"),
        (SIMPLIFIED, "utf-16"),
        ("English and 中文 in UTF-16", "utf-16-le"),
        ("English and 中文 in UTF-16", "utf-16-be"),
        (SIMPLIFIED, "gb18030"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "gb18030"),
    ],
)
def test_undeclared_text_is_decoded(text: str, encoding: str, limits: ReaderLimits) -> None:
    assert decode(text.encode(encoding), limits)[0] == text


def test_valid_utf8_wins_over_a_wrong_label(limits: ReaderLimits) -> None:
    assert decode(SIMPLIFIED.encode(), limits, declared="gb2312") == (SIMPLIFIED, "utf-8")


def test_a_label_of_gb2312_is_read_as_gb18030(limits: ReaderLimits) -> None:
    text = SIMPLIFIED + "镕㐂"
    assert decode(text.encode("gb18030"), limits, declared="GB2312") == (text, "gb18030")


def test_seven_bit_japanese_needs_its_label(limits: ReaderLimits) -> None:
    text = "日本語のページ"
    assert decode(text.encode("iso-2022-jp"), limits, declared="iso-2022-jp")[0] == text


def test_a_meta_tag_is_believed(limits: ReaderLimits) -> None:
    content = f"<meta charset=big5><p>{TRADITIONAL}".encode("big5")
    assert decode(content, limits, html=True)[0].endswith(TRADITIONAL)


def test_one_broken_byte_in_a_long_text_is_replaced_not_misread(limits: ReaderLimits) -> None:
    content = (SIMPLIFIED * 50).encode("gb18030")
    broken = content[:-1]
    text, _ = decode(broken, limits, declared="gbk")
    assert text.startswith(SIMPLIFIED)
    assert text.count("\ufffd") == 1


def test_bytes_in_no_encoding_are_rejected(limits: ReaderLimits) -> None:
    with pytest.raises(RecordRejected) as caught:
        decode(bytes([0x81, 0xFF, 0xFE, 0x80, 0x20, 0xFD]) * 100, limits, declared="utf-8")
    assert caught.value.reason is RejectReason.INVALID_ENCODING


@given(
    st.binary(max_size=200), st.sampled_from([None, "utf-8", "gbk", "nonsense", "utf-16", "x-user-defined"])
)
def test_any_bytes_give_valid_text_or_a_rejection(content: bytes, declared: str | None) -> None:
    try:
        text, _ = decode(content, reader_limits(), declared=declared)
    except RecordRejected as problem:
        assert problem.reason is RejectReason.INVALID_ENCODING
        return
    assert text.encode("utf-8").decode("utf-8") == text

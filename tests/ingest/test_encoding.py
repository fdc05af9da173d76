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


# Universal Declaration of Human Rights, article 1; the opening of 吾輩は猫である (public domain).
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았다."
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた。"
RUSSIAN = (
    "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью."
)
FRENCH = "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison."
ENGLISH = (
    "It\u2019s a \u201cquoted\u201d world \u2014 he said, and they\u2019re right. The caf\xe9 was closed."
)
LEGACY = [
    (SIMPLIFIED, "gb18030"),
    (TRADITIONAL, "big5"),
    (TRADITIONAL, "gb18030"),
    (SIMPLIFIED, "utf-16-le"),
    (SIMPLIFIED, "utf-16-be"),
    (JAPANESE, "utf-16-le"),
    (JAPANESE, "cp932"),
    (JAPANESE, "euc_jp"),
    (KOREAN, "cp949"),
    (KOREAN, "utf-16-be"),
    (RUSSIAN, "cp1251"),
    (RUSSIAN, "koi8-r"),
    (FRENCH, "cp1252"),
    (ENGLISH, "cp1252"),
    (ENGLISH, "utf-16-le"),
    ("Nothing but ASCII in here.", "utf-16-be"),
]


@pytest.mark.parametrize(("text", "encoding"), LEGACY)
def test_a_line_in_any_common_encoding_is_decoded(text: str, encoding: str, limits: ReaderLimits) -> None:
    assert decode(text.encode(encoding), limits)[0] == text


@pytest.mark.parametrize(("text", "encoding"), LEGACY)
def test_a_long_text_is_decoded_though_it_begins_in_plain_english(
    text: str, encoding: str, limits: ReaderLimits
) -> None:
    long = "This book begins with a licence. " * 1000 + text * 100
    assert decode(long.encode(encoding), limits)[0] == long


@pytest.mark.parametrize("text", ["罗贯中", "第一回", "三国演义"])
def test_a_title_of_three_characters_is_decoded(text: str, limits: ReaderLimits) -> None:
    assert decode(text.encode("gb18030"), limits)[0] == text


def test_a_label_of_latin_1_on_chinese_bytes_is_not_believed(limits: ReaderLimits) -> None:
    assert decode(SIMPLIFIED.encode("gb18030"), limits, declared="iso-8859-1") == (SIMPLIFIED, "gb18030")


def test_utf8_whose_end_was_cut_off_is_still_utf8(limits: ReaderLimits) -> None:
    text, encoding = decode((SIMPLIFIED * 50).encode()[:-1], limits)
    assert (text.count("\ufffd"), encoding) == (1, "utf-8")


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

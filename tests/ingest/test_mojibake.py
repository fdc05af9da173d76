"""Text that went through a wrong encoding comes back, or is refused; sound text stays as it is."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.ingest.config import ReaderLimits, reader_limits
from phoenix_assets.ingest.html import extract_html
from phoenix_assets.ingest.mojibake import repair
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.schema import RejectReason

CHINESE = "话说天下大势，分久必合，合久必分。\n周末七国分争，并入于秦。Liu Bei\n"
FRENCH = "Déjà vu à l’hôtel, « ça va ».\nPlain line.\n"
RUSSIAN = "Все счастливые семьи похожи друг на друга.\n"


def misread(text: str, encoding: str) -> str:
    """As everything but Python reads it: undefined bytes of Windows-1252 are control characters."""
    if encoding != "cp1252":
        return text.encode().decode(encoding)
    return "".join(bytes((byte,)).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())


@pytest.mark.parametrize("text", [CHINESE, FRENCH, RUSSIAN])
def test_utf8_read_as_windows_1252_comes_back(text: str, limits: ReaderLimits) -> None:
    assert repair(misread(text, "cp1252"), limits) == (text, ("cp1252",))


def test_utf8_read_as_latin_1_comes_back(limits: ReaderLimits) -> None:
    assert repair(misread(CHINESE, "latin-1"), limits) == (CHINESE, ("cp1252",))


def test_utf8_read_as_windows_1251_comes_back(limits: ReaderLimits) -> None:
    assert repair(misread(RUSSIAN, "cp1251"), limits) == (RUSSIAN, ("cp1251",))


def test_utf8_read_as_gbk_comes_back_when_nothing_was_lost(limits: ReaderLimits) -> None:
    text = "话说天下大势分久必合合久必分\n周末七国分争并入于秦\n"
    assert misread(text, "gb18030").startswith("璇濊")
    assert repair(misread(text, "gb18030"), limits) == (text, ("gb18030",))


def test_text_that_went_wrong_twice_comes_back(limits: ReaderLimits) -> None:
    assert repair(misread(misread(CHINESE, "cp1252"), "cp1252"), limits) == (CHINESE, ("cp1252", "cp1252"))


@pytest.mark.parametrize(
    "text",
    [
        CHINESE.encode().decode("gb18030", "replace"),
        CHINESE.encode().decode("gb18030", "replace").replace("\ufffd", "?"),
        CHINESE.encode("gb18030").decode("utf-8", "replace"),
        "锟斤拷锟斤拷锟斤拷",
    ],
)
def test_text_with_losses_is_rejected(text: str, limits: ReaderLimits) -> None:
    with pytest.raises(RecordRejected) as caught:
        repair(text, limits)
    assert caught.value.reason is RejectReason.INVALID_ENCODING


@pytest.mark.parametrize(
    "text",
    [CHINESE, FRENCH, RUSSIAN, "联通", "涓涓细流，汇成大海", "NÃO É SÃO", "Ñandú 20 °C ±3 «à»", "РСФСР"],
)
def test_sound_text_stays(text: str, limits: ReaderLimits) -> None:
    assert repair(text, limits) == (text, ())


@given(st.text(max_size=200))
def test_whatever_comes_back_was_mojibake_of_it(text: str) -> None:
    try:
        repaired, wrong = repair(text, reader_limits())
    except RecordRejected as problem:
        assert problem.reason is RejectReason.INVALID_ENCODING
        return
    assert (repaired == text) == (not wrong)


def test_a_text_file_says_how_it_was_repaired(tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a.txt").write_text(misread(CHINESE, "cp1252"), "utf-8")
    (record,) = read_file(tmp_path / "a.txt", "txt", limits)
    assert isinstance(record, Record)
    assert (record.text, record.meta["misread_as"]) == (CHINESE, ["cp1252"])


def test_a_text_file_with_losses_is_quarantined(tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a.txt").write_text("锟斤拷" * 10, "utf-8")
    (reject,) = read_file(tmp_path / "a.txt", "txt", limits)
    assert isinstance(reject, Reject)
    assert reject.reason is RejectReason.INVALID_ENCODING


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_mojibake_in_a_record_comes_back_and_says_so(
    format: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    text, title = (misread(part.replace("\n", " "), "cp1252") for part in (CHINESE, "三国演义"))
    rows = {
        "jsonl": json.dumps({"title": title, "text": text}) + "\n",
        "csv": f'title,text\n{title},"{text}"\n',
    }
    (tmp_path / "a").write_text(rows[format], "utf-8")
    (record,) = read_file(tmp_path / "a", format, limits)
    assert isinstance(record, Record)
    assert (record.title, record.text.strip()) == ("三国演义", CHINESE.replace("\n", " ").strip())
    assert record.meta["misread_as"] == ["cp1252"]


def test_a_record_that_lost_characters_stays_as_it_is(tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a").write_text('{"text": "caf\ufffd"}\n', "utf-8")
    (record,) = read_file(tmp_path / "a", "jsonl", limits)
    assert isinstance(record, Record)
    assert (record.text, dict(record.meta)) == ("caf\ufffd", {})


@pytest.mark.parametrize(("charset", "text"), [(None, CHINESE), ("utf-8", misread(CHINESE, "cp1252"))])
def test_mojibake_of_a_page_is_looked_for_unless_its_charset_was_declared(
    charset: str | None, text: str, limits: ReaderLimits
) -> None:
    page = f"<title>t</title><p>{misread(CHINESE, 'cp1252')}</p>".encode()
    _, found = extract_html(page, charset, limits)
    assert found.split() == text.replace("\x85", " ").split()

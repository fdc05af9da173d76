"""JSON lines, aligned text and plain text files."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject, to_documents
from phoenix_assets.ingest.templates import article_text, k12_text, qa_text


def read(path: Path, format: str, content: bytes, limits: ReaderLimits) -> list[Record | Reject]:
    path.write_bytes(content)
    return list(read_file(path, format, limits))


def lines(*rows: Any) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def found(results: list[Record | Reject]) -> list[tuple[str, str]]:
    return [(r.locator, r.text if isinstance(r, Record) else str(r.reason)) for r in results]


FULL = {
    "question": "天为什么是蓝的？",
    "answer": "因为瑞利散射。",
    "author": "小明",
    "pub_time": "2024-01-02",
    "comments": ["对", "谢谢"],
}


def test_a_full_question_follows_the_template_to_the_letter() -> None:
    assert qa_text(FULL) == (
        "问：天为什么是蓝的？\n答：作者：小明\n发表时间：2024-01-02\n\n因为瑞利散射。\n\n评论1：对\n评论2：谢谢"
    )


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ({"author", "pub_time", "comments"}, "问：天为什么是蓝的？\n答：因为瑞利散射。"),
        ({"author", "comments"}, "问：天为什么是蓝的？\n答：发表时间：2024-01-02\n\n因为瑞利散射。"),
        ({"question", "author", "pub_time", "comments"}, "答：因为瑞利散射。"),
        ({"answer", "author", "pub_time", "comments"}, "问：天为什么是蓝的？"),
    ],
)
def test_a_missing_field_drops_its_label(missing: set[str], text: str) -> None:
    absent = {name: value for name, value in FULL.items() if name not in missing}
    blank = {
        name: ([] if name == "comments" else " ") if name in missing else value
        for name, value in FULL.items()
    }
    null = {name: None if name in missing else value for name, value in FULL.items()}
    assert qa_text(absent) == qa_text(blank) == qa_text(null) == text


def test_articles_and_exercises_follow_their_templates() -> None:
    article = {"title": "题", "author": "甲", "pub_time": "昨天", "content": "文", "comments": ["好"]}
    assert article_text(article) == "标题：题\n作者：甲\n发表时间：昨天\n\n文\n\n评论1：好"
    assert article_text({"title": "题", "content": "文"}) == "标题：题\n\n文"
    exercise = {
        "period": "初中",
        "subjectName": "数学",
        "complexValue": 0.6,
        "question": "1+1=?",
        "explain": "加法",
        "knowledgeNames": ["加法", "整数"],
        "answers": "2",
    }
    assert k12_text(exercise) == (
        "学段：初中 学科：数学 难度：0.6\n题目：1+1=?\n题目分析：加法\n考察知识点：加法，整数\n答案：2"
    )


def test_bad_lines_are_rejected_by_number_and_good_ones_read(tmp_path: Path, limits: ReaderLimits) -> None:
    content = lines(
        {"question": "q1", "answer": "a1"},
        b"{not json\n",
        b"\n",
        {"question": 3, "answer": "a"},
        ["a list"],
        {"question": "q", "answer": "a", "comments": "one"},
        {"other": "x"},
        b'{"question": "\xff"}\n',
        b"[" * 200_000 + b"\n",
        b'{"question": "q9", "answer": "' + b"1" * 10 + b'"}',
    )
    results = read(tmp_path / "a.jsonl", "qa_jsonl", content, limits)
    assert found(results) == [
        ("1", "问：q1\n答：a1"),
        ("2", "corrupt"),
        ("4", "corrupt"),
        ("5", "corrupt"),
        ("6", "corrupt"),
        ("7", "empty_text"),
        ("8", "invalid_encoding"),
        ("9", "corrupt"),
        ("10", "问：q9\n答：1111111111"),
    ]
    rejects = [result for result in results if isinstance(result, Reject)]
    assert rejects[0].payload == b"{not json"
    assert rejects[1].detail == "line 4: field 'question' must be text, it is int"


def test_a_line_of_50_megabytes_is_too_large_and_the_next_one_read(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    content = b'{"text": "' + b"x" * 50_000_000 + b'"}\n' + lines({"text": "next"})
    results = read(tmp_path / "a.jsonl", "jsonl", content, limits)
    assert found(results) == [("1", "too_large"), ("2", "next")]


def test_plain_documents_keep_title_address_language_and_the_rest_as_meta(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    row = {"text": "正文", "title": "题", "url": "http://e.org", "lang": "zh", "score": 4, "deep": {"a": 1}}
    (record,) = read(tmp_path / "a.jsonl.gz", "jsonl", gzip.compress(lines(row)), limits)
    assert record == Record("1", "http://e.org", "题", "zh", "正文", {"score": 4})


def test_a_lone_surrogate_spelled_in_json_becomes_a_reject(tmp_path: Path, limits: ReaderLimits) -> None:
    results = read(tmp_path / "a.jsonl", "jsonl", b'{"text": "a\\ud800b"}\n', limits)
    documents, rejects = to_documents(
        [("a.jsonl", result) for result in results if isinstance(result, Record)], "qa", "d"
    )
    assert documents.is_empty()
    assert [str(reject.reason) for _, reject in rejects] == ["invalid_encoding"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), st.just(b'{"text": "x"}')), max_size=8))
def test_any_bytes_give_results_and_never_an_exception(
    tmp_path: Path, limits: ReaderLimits, rows: list[bytes]
) -> None:
    for format in ("jsonl", "qa_jsonl", "json", "csv", "tmx", "parallel_tsv", "txt", "html"):
        for result in read(tmp_path / "a", format, b"\n".join(rows), limits):
            assert isinstance(result, Record | Reject)


def test_pairs_become_documents_of_so_many_pairs(
    tmp_path: Path, limits_with: Callable[..., ReaderLimits]
) -> None:
    limits = limits_with(parallel={"pairs_per_document": 2})
    content = "en\tzh\nOne.\t一。\nTwo.\t二。\nThree.\t三。\n".encode()
    first, second = read(tmp_path / "a.tsv", "parallel_tsv", content, limits)
    assert found([first, second]) == [("2-3", "One.\n一。\nTwo.\n二。"), ("4-4", "Three.\n三。")]
    assert isinstance(first, Record)
    assert first.meta == {"langs": ["en", "zh"], "pairs": 2}


def test_rows_that_cannot_be_aligned_are_rejected(tmp_path: Path, limits: ReaderLimits) -> None:
    content = b"\xef\xbb\xbfen\tzh\r\na\tb\r\nonly one\r\na\tb\tc\r\na\t\r\n\xff\t\xff\r\nc\td\r\n"
    results = read(tmp_path / "a.tsv", "parallel_tsv", content, limits)
    assert found(results) == [
        ("3", "corrupt"),
        ("4", "corrupt"),
        ("5", "empty_text"),
        ("6", "invalid_encoding"),
        ("2-7", "a\nb\nc\nd"),
    ]


def test_pairs_before_the_damage_of_a_truncated_file_are_kept(tmp_path: Path, limits: ReaderLimits) -> None:
    content = "en\tzh\n" + "".join(f"Sentence {n * n * 7919 % 9973}.\t第{n}句。\n" for n in range(5000))
    results = read(tmp_path / "a.tsv", "parallel_tsv", gzip.compress(content.encode())[:-500], limits)
    *documents, last = found(results)
    assert last == ("", "truncated")
    assert [locator.partition("-")[0] for locator, _ in documents[:2]] == ["2", "52"]
    assert documents[-1][1].count("\n") < 99


def test_a_third_language_may_be_missing_in_a_row(tmp_path: Path, limits: ReaderLimits) -> None:
    (record,) = read(tmp_path / "a.tsv", "parallel_tsv", b"en\tzh\tfr\na\tb\t\nc\td\te\n", limits)
    assert isinstance(record, Record)
    assert record.text == "a\nb\nc\nd\ne"


@pytest.mark.parametrize("header", [b"en\n", b"English\tChinese\n", b"en\ten\n", b"One.\tTwo.\n"])
def test_a_file_without_a_header_of_languages_is_corrupt(
    header: bytes, tmp_path: Path, limits: ReaderLimits
) -> None:
    assert found(read(tmp_path / "a.tsv", "parallel_tsv", header + b"a\tb\n", limits)) == [("", "corrupt")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_text_files_are_read_in_their_encoding(encoding: str, tmp_path: Path, limits: ReaderLimits) -> None:
    text = "第一回 宴桃园豪杰三结义 斩黄巾英雄首立功\n话说天下大势，分久必合，合久必分。"
    (record,) = read(tmp_path / "三国.txt", "txt", text.replace("\n", "\r\n").encode(encoding), limits)
    assert isinstance(record, Record)
    assert (record.text, record.title) == (text, "三国")


def test_text_that_is_none_is_quarantined(tmp_path: Path, limits: ReaderLimits) -> None:
    garbage = bytes([0x81, 0xFF, 0xFE, 0x80, 0x20, 0xFD]) * 100
    assert found(read(tmp_path / "a.txt", "txt", garbage, limits)) == [("", "invalid_encoding")]
    assert found(read(tmp_path / "b.txt", "txt", b" \n \n", limits)) == [("0", "empty_text")]
    assert found(read(tmp_path / "c.txt", "txt", b"x" * 50_000_000, limits)) == [("", "too_large")]
    assert found(read(tmp_path / "d.txt", "txt", b"a\x00b", limits)) == [("", "invalid_encoding")]

"""JSON, CSV and Parquet, whatever their fields are called; templates to the letter; bad records cost themselves alone."""

import gzip
import io
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from phoenix_assets.content_hash import file_sha256
from phoenix_assets.fields import AS_NAMED, FieldMap
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.delivery import DeliveryManifest, describe
from phoenix_assets.ingest.extract import DeliveredFile, Extract
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.record_split import csv_records, json_values
from phoenix_assets.ingest.records import Record, Reject
from phoenix_assets.ingest.register import register
from phoenix_assets.ingest.templates import article_text, k12_text, qa_text

Read = Callable[..., list[Record | Reject]]


@pytest.fixture
def read(tmp_path: Path, limits: ReaderLimits) -> Read:
    def from_bytes(
        content: bytes, format: str, fields: FieldMap = AS_NAMED, limits: ReaderLimits = limits
    ) -> list[Record | Reject]:
        (tmp_path / "a").write_bytes(content)
        return list(read_file(tmp_path / "a", format, limits, fields))

    return from_bytes


def found(results: list[Record | Reject]) -> list[tuple[str, str]]:
    return [(r.locator, r.text if isinstance(r, Record) else str(r.reason)) for r in results]


def as_parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), buffer, **options)
    return buffer.getvalue()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    names = list(rows[0])
    lines = [",".join(names), *(",".join(f'"{row[name]}"' for name in names) for row in rows)]
    return "\n".join(lines).encode()


ENCODERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "jsonl": lambda rows: "\n".join(map(json.dumps, rows)).encode(),
    "json": lambda rows: json.dumps(rows, indent=1).encode(),
    "csv": as_csv,
    "parquet": as_parquet,
}
ROWS = [
    {
        "headline": "题一",
        "body": "正文，一。\n第二行",
        "address": "http://e.org/1",
        "language": "zh",
        "score": "4",
    },
    {"headline": "Two", "body": "Text, two.", "address": "http://e.org/2", "language": "en", "score": "5"},
]
MAP = FieldMap.model_validate({"text": "body", "title": "headline", "url": "address"})


@pytest.mark.parametrize("format", sorted(ENCODERS))
def test_a_field_map_reads_any_kind_of_file_into_the_same_documents(format: str, read: Read) -> None:
    assert read(ENCODERS[format](ROWS), format, MAP) == [
        Record("1", "http://e.org/1", "题一", "zh", "正文，一。\n第二行", {"score": "4"}),
        Record("2", "http://e.org/2", "Two", "en", "Text, two.", {"score": "5"}),
    ]


@pytest.mark.parametrize("format", ["json", "jsonl", "parquet"])
def test_nested_fields_are_found_by_their_path_and_meta_is_what_was_asked_for(
    format: str, read: Read
) -> None:
    rows = [
        {"doc": {"main": "正文", "title": "题"}, "tags": [{"n": "甲"}, {"n": "乙"}], "id": 7, "noise": "x"}
    ]
    fields = FieldMap.model_validate(
        {"text": "doc.main", "title": "doc.title", "meta": ["id", "tags.1.n", "gone"]}
    )
    assert read(ENCODERS[format](rows), format, fields) == [
        Record("1", "", "题", "", "正文", {"id": 7, "tags.1.n": "乙"})
    ]


def test_a_layout_makes_questions_of_a_table(read: Read) -> None:
    content = "提问,回答,comment1,comment2\n为什么？,因为。,,好\n".encode()
    fields = FieldMap.model_validate({"layout": "qa", "question": "提问", "answer": "回答"})
    assert found(read(content, "csv", fields)) == [("1", "问：为什么？\n答：因为。\n\n评论1：好")]


def test_extraction_reads_with_the_map_that_the_delivery_was_registered_with(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(as_parquet(ROWS))
    delivered = DeliveredFile(
        "paper", "d", "a.parquet", path, "parquet", path.stat().st_size, file_sha256(path), MAP
    )
    (output,) = Extract(limits)((delivered,))
    assert output.documents["title"].to_list() == ["题一", "Two"]
    assert output.documents["text"].to_list() == [row["body"] for row in ROWS]


def test_a_registered_file_keeps_the_map_of_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(as_csv(ROWS))
    manifest = {
        "source": "paper", "delivery": "d", "vendor": "v", "received": "2026-01-01", "format": "csv",
        "licence": {"id": "CC0-1.0", "allows": ["pretraining"]}, "files": [describe(tmp_path, "a.csv")],
    }  # fmt: skip
    kept = []
    for told in ({}, {"fields": MAP}):
        (output,) = register(tmp_path, DeliveryManifest.model_validate(manifest | told))
        kept += output.documents["fields"].to_list()
    assert kept[0] == ""
    assert FieldMap.model_validate_json(kept[1]) == MAP


@pytest.mark.parametrize(
    "wrong",
    [
        {"tittle": "headline"},
        {"text": 3},
        {"text": ""},
        {"text": "a..b"},
        {"text": "a\nb"},
        {"text": "x" * 300},
        {"layout": "sonnet"},
        {"meta": ["a"] * 300},
    ],
)
def test_a_field_map_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FieldMap.model_validate(wrong)


def test_every_field_of_the_templates_can_be_mapped() -> None:
    k12 = {
        name: name for name in ("region", "period", "discipline", "gradeName", "volumeName", "complexValue")
    }
    k12 |= {name: name for name in ("typeValue", "question", "analysis", "knowledgeNames", "material")}
    k12 |= {name: name for name in ("modelEssay", "guide", "answers", "subjectName", "explain", "bigType")}
    mapped = FieldMap.model_validate({name: f"deep.{name}" for name in k12})
    assert k12_text(mapped.named({"deep": k12})) == k12_text(k12)


# The layouts as the team defines them, verbatim.
ARTICLE = (
    "标题：<title>\n作者：<author>\n发表时间：<pub_time>\n\n<content>\n\n评论1：<comment1>\n评论2：<comment2>"
)
ANSWER = "问：<question>\n答：作者：<author>\n发表时间：<pub_time>\n\n<content>\n\n评论1：<comment1>\n评论2：<comment2>"
EXERCISE = (
    "区域：<region> 学段：<period> 学科：<discipline> 年级：<gradeName> 册次：<volumeName> 难度：<complexValue> "
    "题目类型：<typeValue>\n题目：<question>\n题目分析：<analysis>\n考察知识点：<knowledgeNames>\n材料：<material>\n"
    "参考范文：<modelEssay>\n写作指导:<guide>\n答案：<answers>"
)


def marked(*names: str) -> dict[str, Any]:
    return {name: f"<{name}>" for name in names}


def test_layouts_are_the_teams_to_the_letter() -> None:
    said = marked("author", "pub_time", "content", "comment1", "comment2")
    assert article_text(said | marked("title")) == ARTICLE
    assert qa_text(said | marked("question")) == ANSWER
    heads = ("region", "period", "discipline", "gradeName", "volumeName", "complexValue", "typeValue")
    bodies = ("question", "analysis", "knowledgeNames", "material", "modelEssay", "guide", "answers")
    assert k12_text(marked(*heads, *bodies)) == EXERCISE


@pytest.mark.parametrize(
    ("alternative", "label"),
    [
        ("subjectName", "学科："),
        ("question_type", "题目类型："),
        ("categoryValue", "题目类型："),
        ("bigType", "题目类型："),
        ("title", "题目："),
        ("explain", "题目分析："),
    ],
)
def test_a_field_of_an_exercise_has_any_of_its_names(alternative: str, label: str) -> None:
    assert k12_text(marked(alternative)) == f"{label}<{alternative}>"


@pytest.mark.parametrize("missing", ["title", "author", "pub_time", "content", "comment1", "comment2"])
def test_a_missing_field_of_an_article_leaves_no_label_and_no_gap(missing: str) -> None:
    names = ["title", "author", "pub_time", "content", "comment1", "comment2"]
    text = article_text(marked(*(name for name in names if name != missing)))
    labels = {"title": "标题：", "author": "作者：", "pub_time": "发表时间：", "content": "<content>"}
    assert labels.get(missing, "评论2：") not in text
    assert "\n\n\n" not in text
    assert text == text.strip()


def test_an_exercise_of_the_wrong_type_is_quarantined_and_the_rest_read(read: Read) -> None:
    rows: list[dict[str, Any]] = [
        {"question": "1+1=?", "answers": 2},
        {"question": {"stem": "1+2=?"}, "answers": "3"},
        {"question": "1+3=?", "answers": [4]},
        {"question": "1+4=?", "complexValue": True},
        {"question": "1+5=?", "knowledgeNames": ["加法", "整数"], "complexValue": float("nan")},
    ]
    results = read("\n".join(map(json.dumps, rows)).encode(), "k12_jsonl")
    assert found(results) == [
        ("1", "题目：1+1=?\n答案：2"),
        ("2", "corrupt"),
        ("3", "corrupt"),
        ("4", "corrupt"),
        ("5", "题目：1+5=?\n考察知识点：加法，整数"),
    ]
    assert isinstance(results[1], Reject)
    assert results[1].detail == (
        "line 2: field 'question' must be text, a number or a list of texts, it is dict"
    )


def test_elements_of_an_array_are_read_one_by_one(read: Read, limits: ReaderLimits) -> None:
    content = b'\xef\xbb\xbf [{"text": "]},"}, {"text": \'x\'}, 3,\n {"text": "\\"b"} ]\n'
    assert found(read(content, "json")) == [("1", "]},"), ("2", "corrupt"), ("3", "corrupt"), ("4", '"b')]
    assert found(read(b'{"text": "one"}', "json")) == [("1", "one")]
    assert found(read(b'{"text": "a"}\n{"text": "b"}', "json")) == [("1", "a"), ("2", "b")]
    assert found(read(b"[]", "json")) == [("", "empty_text")]


def test_an_array_that_ends_early_gives_the_elements_before(read: Read) -> None:
    assert found(read(b'[{"text": "a"}, {"text": "b', "json")) == [("1", "a"), ("", "truncated")]
    assert found(read(b'[{"text": "a"}] [1]', "json")) == [("1", "a"), ("", "corrupt")]


def test_json_nested_100_000_deep_is_corrupt_and_the_next_record_read(read: Read) -> None:
    deep = b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert found(read(b"[" + deep + b', {"text": "b"}]', "json")) == [("1", "corrupt"), ("2", "b")]


HUGE = b"x" * 100_000_000


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("jsonl", b'{"text": "' + HUGE + b'"}\n{"text": "next"}'),
        ("json", b'[{"text": "' + HUGE + b'"},\n{"text": "next"}]'),
        ("csv", b'text,n\n"a\n' + HUGE + b'",1\nnext,2'),
    ],
    ids=["jsonl", "json", "csv"],
)
def test_a_record_of_100_megabytes_is_too_large_and_the_next_one_read(
    format: str, content: bytes, read: Read
) -> None:
    assert found(read(content, format)) == [("1", "too_large"), ("2", "next")]


def test_null_characters_pass_and_lone_surrogates_are_left_to_the_writer(read: Read) -> None:
    (nul, surrogate) = read(b'[{"text": "a\\u0000b"}, {"text": "\\udc80"}]', "json")
    assert isinstance(nul, Record)
    assert isinstance(surrogate, Record)
    assert (nul.text, surrogate.text) == ("a\0b", "\udc80")


@pytest.mark.parametrize("format", ["json", "csv"])
def test_a_truncated_gzip_gives_what_was_read_and_says_so(format: str, read: Read) -> None:
    rows = [{"text": f"正文{number}" * 50, "n": number * 7919 % 1000} for number in range(5000)]
    results = read(gzip.compress(ENCODERS[format](rows))[:-40], format)
    assert isinstance(results[0], Record)
    assert found(results)[-1] == ("", "truncated")


def test_quotes_delimiters_and_line_ends_of_csv(read: Read) -> None:
    content = b'id;text\r\n1;"a;""b""\r\nc"\r\n\r\n2;5" nail\r\n3;"d"e\r\n4;f;g\r\n5;"open\r\nend'
    assert found(read(content, "csv")) == [
        ("1", 'a;"b"\r\nc'),
        ("2", '5" nail'),
        ("3", "corrupt"),
        ("4", "corrupt"),
        ("5", "corrupt"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
def test_tables_are_read_in_their_encoding(encoding: str, read: Read) -> None:
    rows = "".join(
        f"{number}\t第{number}回，话说天下大势，分久必合，合久必分。\n" for number in range(1, 200)
    )
    results = read(f"n\ttext\n{rows}".encode(encoding), "csv")
    assert len(results) == 199
    assert found(results)[41] == ("42", "第42回，话说天下大势，分久必合，合久必分。")


def test_a_table_without_a_header_of_names_is_corrupt(read: Read) -> None:
    assert found(read(b"text,,n\na,b,c\n", "csv")) == [("", "corrupt")]
    assert found(read(b"text,text\na,b\n", "csv")) == [("", "corrupt")]


def test_types_of_parquet_become_plain(read: Read) -> None:
    rows = [
        {
            "content": "文".encode(),
            "title": "题",
            "pub_time": date(2024, 1, 2),
            "price": Decimal("1.50"),
            "n": None,
        }
    ]
    (record,) = read(as_parquet(rows), "parquet", FieldMap.model_validate({"layout": "article"}))
    assert isinstance(record, Record)
    assert record.text == "标题：题\n发表时间：2024-01-02\n\n文"
    assert record.meta == {"pub_time": "2024-01-02", "price": "1.50"}


def test_rows_of_parquet_that_cannot_be_used_are_quarantined(
    read: Read, limits_with: Callable[..., ReaderLimits]
) -> None:
    texts = [b"one", b"\xff\xfe", b"x" * 5000, b"", b"five"]
    table = pa.table({"text": pa.Array.from_buffers(pa.string(), 5, pa.array(texts, pa.binary()).buffers())})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, row_group_size=2)
    results = read(buffer.getvalue(), "parquet", limits=limits_with(max_record_bytes=4000))
    assert found(results) == [
        ("1", "one"),
        ("2", "invalid_encoding"),
        ("3", "too_large"),
        ("4", "empty_text"),
        ("5", "five"),
    ]


def test_a_dictionary_that_unpacks_out_of_proportion_is_a_bomb(read: Read) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 500), pa.array(["x" * 1_000_000]))
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"text": column}), buffer, dictionary_pagesize_limit=2**25)
    results = read(buffer.getvalue(), "parquet")
    assert found(results)[-1] == ("", "bomb")
    assert len(results) < 100


WHOLE = as_parquet([{"text": f"正文{number}", "n": number} for number in range(100)], row_group_size=50)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (WHOLE[:-10], "truncated"),
        (WHOLE[:-8] + b"\xff\xff\xff\x7f" + WHOLE[-4:], "corrupt"),
        (WHOLE[:-40] + b"\xff" * 32 + WHOLE[-8:], "corrupt"),
        (b"PAR1", "corrupt"),
    ],
    ids=["cut", "length of the footer", "footer", "only the magic"],
)
def test_a_broken_footer_is_told(content: bytes, reason: str, read: Read) -> None:
    assert found(read(content, "parquet")) == [("", reason)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.integers(4, len(WHOLE) - 8), st.binary(min_size=1, max_size=8))
def test_parquet_damaged_anywhere_never_raises(read: Read, position: int, damage: bytes) -> None:
    content = WHOLE[:position] + damage + WHOLE[position + len(damage) :]
    assert all(isinstance(result, Record | Reject) for result in read(content, "parquet"))


documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)


@settings(deadline=None)
@given(st.lists(documents, max_size=6), st.integers(1, 50), st.sampled_from([None, 1]))
def test_the_elements_of_an_array_are_found_wherever_blocks_end(
    elements: list[Any], block: int, indent: int | None
) -> None:
    content = json.dumps(elements, indent=indent, ensure_ascii=False).encode()
    pieces = [content[start : start + block] for start in range(0, len(content), block)]
    assert [json.loads(value or b"") for value in json_values(pieces, 10_000)] == elements


@settings(deadline=None)
@given(
    st.lists(st.lists(st.text(alphabet='a",\n中', max_size=6), min_size=2, max_size=2), max_size=6),
    st.integers(1, 9),
)
def test_the_records_of_a_table_are_found_wherever_blocks_end(rows: list[list[str]], block: int) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows]
    content = "".join(quoted).encode()
    pieces = [content[start : start + block] for start in range(0, len(content), block)]
    assert [(record or b"").decode() for record in csv_records(pieces, ",", 10_000)] == quoted

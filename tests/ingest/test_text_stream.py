"""Files of records are read in their encoding; damaged lines of UTF-8 are no other encoding."""

import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject
from phoenix_assets.ingest.text_stream import open_text

OPENING = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。及秦灭之后，楚、汉分争，又并入于汉。"
ROWS = [{"text": f"{number}：{OPENING}"} for number in range(20)]


def read(path: Path, format: str, content: bytes, limits: ReaderLimits) -> list[Record | Reject]:
    path.write_bytes(content)
    return list(read_file(path, format, limits))


def texts(results: list[Record | Reject]) -> list[str]:
    return [result.text if isinstance(result, Record) else str(result.reason) for result in results]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "big5hkscs"]
)
@pytest.mark.parametrize("format", ["jsonl", "json", "parallel_tsv"])
def test_records_are_read_in_their_encoding(
    format: str, encoding: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    content = {
        "jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
        "json": json.dumps(ROWS, ensure_ascii=False),
        "parallel_tsv": "en\tzh\n" + "\n".join(f"Row\t{row['text']}" for row in ROWS) + "\n",
    }[format]
    if encoding == "big5hkscs":
        content = content.translate(str.maketrans("话说势争国灭后楚汉并", "話說勢爭國滅後楚漢並"))
    found = texts(read(tmp_path / "a", format, content.encode(encoding), limits))
    expected = (
        [row["text"] for row in json.loads(content)]
        if format == "json"
        else [
            json.loads(line)["text"] if format == "jsonl" else line.partition("\t")[2]
            for line in content.splitlines()
            if "：" in line
        ]
    )
    assert "\n".join(found).replace("Row\n", "").split("\n") == expected


def test_braces_and_backslashes_inside_characters_of_gb18030_end_no_value(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    # In these characters the second byte is that of `\`, `{`, `}`, `[` or `]`.
    awkward = b"\x81\x5c\x81\x7b\x81\x7d\x81\x5b\x81\x5d".decode("gb18030")
    rows = [{"text": f"{OPENING}{awkward}"}] * 3
    content = json.dumps(rows, ensure_ascii=False).encode("gb18030")
    assert texts(read(tmp_path / "a.json", "json", content, limits)) == [row["text"] for row in rows]


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_that_is_broken_in_its_encoding_is_named(
    packed: bool, tmp_path: Path, limits: ReaderLimits
) -> None:
    lines = [json.dumps(row, ensure_ascii=False).encode("gb18030") for row in ROWS]
    lines[4] = lines[4][:-2] + b'\xff"}'
    content = b"\n".join(lines)
    results = read(tmp_path / "a", "jsonl", gzip.compress(content) if packed else content, limits)
    assert texts(results) == [
        *(row["text"] for row in ROWS[:4]),
        "invalid_encoding",
        *(row["text"] for row in ROWS[5:]),
    ]
    (reject,) = (result for result in results if isinstance(result, Reject))
    assert reject.detail.startswith("line 5: not GB18030")


@pytest.mark.parametrize(
    "broken", [b'{"text": "caf\xe9"}', json.dumps(ROWS[0], ensure_ascii=False).encode("gb18030")]
)
def test_a_damaged_line_does_not_change_the_encoding_of_the_others(
    broken: bytes, tmp_path: Path, limits: ReaderLimits
) -> None:
    lines = [broken, *(json.dumps(row, ensure_ascii=False).encode() for row in ROWS)]
    assert texts(read(tmp_path / "a", "jsonl", b"\n".join(lines), limits)) == [
        "invalid_encoding",
        *(row["text"] for row in ROWS),
    ]


def test_western_lines_take_more_than_one_to_prove_their_encoding(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    line = '{"text": "Un café près de la forêt, déjà fermé."}'.encode("cp1252")
    assert texts(read(tmp_path / "a", "jsonl", line, limits)) == ["invalid_encoding"]
    (one, other) = texts(read(tmp_path / "b", "jsonl", line + b"\n" + line, limits))
    assert one == other == "Un café près de la forêt, déjà fermé."


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(content=st.text(min_size=1), sizes=st.lists(st.integers(1, 7), min_size=1, max_size=20))
def test_a_stream_is_the_same_however_it_is_read(
    content: str, sizes: list[int], tmp_path: Path, limits: ReaderLimits
) -> None:
    path = tmp_path / "a"
    path.write_bytes((OPENING + content).encode("gb18030", "ignore"))
    with open_text(path, limits) as (stream, _):
        whole = stream.read()
    with open_text(path, limits) as (stream, _):
        parts = io.BytesIO()
        while part := stream.read(sizes[parts.tell() % len(sizes)]):
            parts.write(part)
    assert parts.getvalue() == whole

"""Conversations of every traded shape become one layout."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from phoenix_assets.fields import FieldMap
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject

ALPACA = {
    "instruction": "把下面的句子译成英文。",
    "input": "天下大势，分久必合。",
    "output": "Unity follows division.",
}
SHAREGPT = {
    "id": "x1",
    "conversations": [
        {"from": "system", "value": "You are terse."},
        {"from": "human", "value": "Why is the sky blue?"},
        {"from": "gpt", "value": "Rayleigh scattering."},
        {"from": "human", "value": "And red at dusk?"},
        {"from": "gpt", "value": "The same, over a longer path."},
    ],
}
MESSAGES = {
    "messages": [
        {
            "role": "user",
            "content": [{"type": "text", "text": "今天"}, {"type": "text", "text": "天气怎么样？"}],
        },
        {"role": "tool", "content": "晴，二十度。"},
        {"role": "assistant", "content": "晴天，二十度。"},
    ]
}


def read(path: Path, limits: ReaderLimits, *rows: Any) -> list[Record | Reject]:
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return list(read_file(path, "instruct_jsonl", limits))


def test_every_shape_follows_the_layout_to_the_letter(tmp_path: Path, limits: ReaderLimits) -> None:
    results = read(tmp_path / "a.jsonl", limits, ALPACA, SHAREGPT, MESSAGES)
    assert [(result.text, result.meta) for result in results if isinstance(result, Record)] == [
        (
            "问：把下面的句子译成英文。\n天下大势，分久必合。\n答：Unity follows division.",
            {"shape": "alpaca", "turns": 2},
        ),
        (
            "System: You are terse.\n\nUser: Why is the sky blue?\nAssistant: Rayleigh scattering.\n\n"
            "User: And red at dusk?\nAssistant: The same, over a longer path.",
            {"id": "x1", "shape": "sharegpt", "turns": 5},
        ),
        (
            "问：今天\n天气怎么样？\n\n工具：晴，二十度。\n答：晴天，二十度。",
            {"shape": "messages", "turns": 3},
        ),
    ]


def test_an_empty_input_leaves_no_line_and_lang_overrules_the_letters(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    row = {"instruction": "你好", "input": "", "output": "你好！", "lang": "en"}
    (record,) = read(tmp_path / "a.jsonl", limits, row)
    assert isinstance(record, Record)
    assert (record.text, record.lang) == ("User: 你好\nAssistant: 你好！", "en")


@pytest.mark.parametrize(
    ("row", "reason", "said"),
    [
        ({"prompt": "x"}, "corrupt", "none of instruction"),
        ({"instruction": "x", "output": " "}, "empty_text", "no turn of the assistant"),
        ({"instruction": ["x"], "output": "y"}, "corrupt", "'instruction' must be text"),
        ({"conversations": "x"}, "corrupt", "must be a list of objects"),
        (
            {"conversations": [{"from": "alien", "value": "x"}]},
            "corrupt",
            "conversations.0 has the unknown role",
        ),
        ({"messages": [{"role": "user", "content": "x"}]}, "empty_text", "no turn of the assistant"),
        ({"messages": [{"role": "user", "content": None}]}, "empty_text", "messages.0 has no text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "corrupt",
            "a part of type 'image_url'",
        ),
    ],
)
def test_what_is_no_whole_conversation_is_quarantined_and_the_rest_read(
    row: dict[str, Any], reason: str, said: str, tmp_path: Path, limits: ReaderLimits
) -> None:
    bad, good = read(tmp_path / "a.jsonl", limits, row, ALPACA)
    assert isinstance(bad, Reject)
    assert (str(bad.reason), bad.locator) == (reason, "1")
    assert said in bad.detail
    assert isinstance(good, Record)


def test_other_names_are_mapped(tmp_path: Path, limits: ReaderLimits) -> None:
    (tmp_path / "a.json").write_text('[{"q": {"text": "Two and two?"}, "a": "Four."}]', "utf-8")
    fields = FieldMap.model_validate({"layout": "instruct", "instruction": "q.text", "output": "a"})
    (record,) = read_file(tmp_path / "a.json", "json", limits, fields)
    assert isinstance(record, Record)
    assert record.text == "User: Two and two?\nAssistant: Four."


def test_the_labels_are_configuration_and_must_be_complete(
    limits: ReaderLimits, limits_with: Callable[..., ReaderLimits]
) -> None:
    layout = limits.instruct.model_dump()
    with pytest.raises(ValidationError, match="labels of language 'fr' lack assistant, system, tool"):
        limits_with(instruct={**layout, "labels": {**layout["labels"], "fr": {"user": "Q : "}}})

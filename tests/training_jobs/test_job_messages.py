import json
from pathlib import Path
from typing import get_args

import pytest
from dagster_pipes import PIPES_PROTOCOL_VERSION, PIPES_PROTOCOL_VERSION_FIELD, Method
from hypothesis import given, settings
from hypothesis import strategies as st

from training_jobs.messages import MessageWriter, PayloadKind, StepMetrics, metrics_by_step, tail


def metrics(step: int, loss: float = 2.5) -> StepMetrics:
    return StepMetrics(step, loss, None, 1.0, 10.0, 1e-3, step * 128, 4000.0, 0.1)


def test_a_reader_with_an_offset_gets_each_message_once(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    with MessageWriter(path) as writer:
        writer.step(metrics(1))
        first, offset = tail(path)
        writer.step(metrics(2))
        second, end = tail(path, offset)
    assert [message.payload["step"] for message in (*first, *second)] == [1, 2]
    last, final = tail(path, end)
    assert [message.method for message in last] == ["closed"]
    assert tail(path, final) == ([], final)


def test_no_file_yet_means_no_message(tmp_path: Path) -> None:
    assert tail(tmp_path / "messages.jsonl") == ([], 0)


@settings(max_examples=40)
@given(st.integers(0, 2000))
def test_a_half_written_last_line_waits_for_the_next_read(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("m") / "messages.jsonl"
    writer = MessageWriter(path)
    for step in range(1, 6):
        writer.step(metrics(step))
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    before, offset = tail(path)
    path.write_bytes(whole)
    after, _ = tail(path, offset)
    assert [message.payload["step"] for message in (*before, *after)] == [1, 2, 3, 4, 5]


def test_a_line_cut_off_by_a_crash_is_closed_by_the_next_writer_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    MessageWriter(path).step(metrics(1))
    with path.open("ab") as stream:
        stream.write(b'{"__dagster_pipes_version": "0.1", "method": "rep')
    MessageWriter(path).step(metrics(2))
    messages, _ = tail(path)
    assert [message.payload["step"] for message in messages] == [1, 2]


def test_a_step_reported_twice_counts_once_with_its_last_values(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    writer = MessageWriter(path)
    for report in (metrics(2), metrics(1), metrics(2, loss=2.0)):
        writer.step(report)
    assert metrics_by_step(tail(path)[0]) == {1: metrics(1), 2: metrics(2, loss=2.0)}


def test_messages_have_the_methods_and_the_version_of_dagster_pipes(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    with MessageWriter(path) as writer:
        writer.opened({"job_key": "tiny"})
        writer.log("started")
        writer.step(metrics(1))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {line["method"] for line in lines} <= set(get_args(Method))
    assert {line[PIPES_PROTOCOL_VERSION_FIELD] for line in lines} == {PIPES_PROTOCOL_VERSION}


def test_an_error_closes_the_messages_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    with pytest.raises(RuntimeError), MessageWriter(path):
        raise RuntimeError("the disk is full")
    (message,), _ = tail(path)
    assert message.params["exception"]["name"] == "RuntimeError"
    assert not message.of_kind(PayloadKind.STEP)

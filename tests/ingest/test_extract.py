"""Delivered files become outputs of bounded size; source files that lie loose in a folder are one repository."""

import json
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.content_hash import file_sha256
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.extract import DeliveredFile, Extract, shards
from phoenix_assets.schema import StageOutput

LICENCE = next(file for file in distribution("click").files or [] if "LICENSE" in file.name).read_binary()
REPOSITORY = {
    "app/main.py": b"from app import model\n",
    "app/model.py": b"# SPDX-License-Identifier: MIT\nfrom app import rates\n",
    "app/rates.py": b"RATE = 1\n",
    "app/LICENSE": LICENCE,
    "app/node_modules/left-pad/index.js": b"module.exports = 1\n",
    "app/api_pb2.py": b"x = 1\n",
    "app/Cargo.lock": b"version = 3\n",
    "app/logo.png": b"\x89PNG\r\n",
    "app/__init__.py": b"",
}


def delivered(folder: Path, files: dict[str, bytes], format: str) -> list[DeliveredFile]:
    found = []
    for name, content in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        found.append(DeliveredFile("s", "d", name, path, format, len(content), file_sha256(path)))
    return found


def extracted(files: list[DeliveredFile], limits: ReaderLimits) -> list[StageOutput]:
    return [output for shard in shards(files, limits.shard_bytes) for output in Extract(limits)(shard)]


def test_a_folder_of_code_is_read_as_its_archive_would_be(tmp_path: Path, limits: ReaderLimits) -> None:
    (output,) = extracted(delivered(tmp_path, REPOSITORY, "code"), limits)
    meta = [json.loads(row) for row in output.documents["meta"]]
    assert [(row["position"], row["path"], row["licence"]) for row in meta] == [
        (0, "rates.py", "BSD-3-Clause"),
        (1, "model.py", "MIT"),
        (2, "main.py", "BSD-3-Clause"),
    ]
    assert {row["repository"] for row in meta} == {"app"}
    assert output.documents["locator"].to_list()[0] == "app/rates.py#rates.py"
    assert dict(output.quarantine.select("file", "reason").iter_rows()) == {
        "app/Cargo.lock": "generated",
        "app/__init__.py": "empty_text",
        "app/api_pb2.py": "generated",
        "app/logo.png": "unknown_format",
        "app/node_modules/left-pad/index.js": "vendored",
    }
    assert output.ledger.height == len(REPOSITORY) - 1
    assert output.counts == {"licence_files": 1}


def test_each_folder_is_a_repository_and_loose_files_are_the_deliverys(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    files = {
        "a/x.py": b"import y\n",
        "a/y.py": b"Y = 1\n",
        "b/y.py": b"Y = 2\n",
        "setup.py": b"S = 1\n",
        "z.py": b"Z = 1\n",
    }
    found = delivered(tmp_path, files, "code")
    names = [[file.file for file in shard] for shard in shards(found, shard_bytes=1)]
    assert names == [["a/x.py", "a/y.py"], ["b/y.py"], ["setup.py", "z.py"]]
    meta = [json.loads(row) for output in extracted(found, limits) for row in output.documents["meta"]]
    assert [(row["repository"], row["path"]) for row in meta] == [
        ("a", "y.py"),
        ("a", "x.py"),
        ("b", "y.py"),
        ("d", "setup.py"),
        ("d", "z.py"),
    ]


def test_a_source_file_that_changed_since_is_left_out_and_the_others_read(
    tmp_path: Path, limits: ReaderLimits
) -> None:
    files = delivered(tmp_path, {"a/x.py": b"X = 1\n", "a/y.py": b"Y = 1\n"}, "code")
    files[0].path.write_bytes(b"X = 2\n")
    (output,) = extracted(files, limits)
    assert output.documents["text"].to_list() == ["Y = 1\n"]
    assert output.quarantine["reason"].to_list() == ["wrong_checksum"]


@pytest.mark.parametrize(
    ("changes", "line", "outputs"),
    [
        ({"output_characters": 1000}, b'{"text": "%s"}\n' % (b"x" * 500), 10),
        ({"output_records": 5}, b'{"text": "x"}\n', 4),
        ({"output_characters": 1000}, b'{"text": "x", "note": "%s"}\n' % (b"y" * 500), 10),
        ({"output_characters": 1000, "payload_bytes": 500}, b"not JSON %s\n" % (b"z" * 500), 10),
    ],
    ids=["text", "records", "meta", "rejects"],
)
def test_an_output_ends_with_text_records_or_what_is_kept_of_rejects(
    changes: dict[str, int],
    line: bytes,
    outputs: int,
    tmp_path: Path,
    limits_with: Callable[..., ReaderLimits],
) -> None:
    found = extracted(delivered(tmp_path, {"a.jsonl": line * 20}, "jsonl"), limits_with(**changes))
    assert len(found) == outputs
    assert sum(output.ledger.height for output in found) == 20


def test_files_share_an_output_and_every_row_names_its_own(tmp_path: Path, limits: ReaderLimits) -> None:
    files = {f"{number}.jsonl": b'{"text": "x"}\nbad\n' for number in range(3)}
    (output,) = extracted(delivered(tmp_path, files, "jsonl"), limits)
    assert output.documents["locator"].to_list() == ["0.jsonl#1", "1.jsonl#1", "2.jsonl#1"]
    assert output.quarantine["file"].to_list() == sorted(files)
    assert output.ledger["doc_id"].n_unique() == 6
    assert output.ledger["kept"].to_list() == [True] * 3 + [False] * 3


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 100))
def test_shards_hold_every_file_once_in_order(sizes: list[int], shard_bytes: int) -> None:
    files = [
        DeliveredFile("s", "d", f"{number:03}.txt", Path(f"{number:03}.txt"), "txt", size, "")
        for number, size in enumerate(sizes)
    ]
    cut = shards(files, shard_bytes)
    assert [file for shard in cut for file in shard] == files
    assert all(sum(file.bytes for file in shard[:-1]) < shard_bytes for shard in cut)

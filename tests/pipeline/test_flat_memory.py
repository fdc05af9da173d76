"""What a worker holds does not grow with its input: a stage is run in a process of its own, which says its peak."""

import gzip
import inspect
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

MEGABYTE = 10**6
SMALL, LARGE = 4, 64  # of text, after decompression
GROWTH = 1.2
STAGES = """
import resource, sys
from pathlib import Path
from phoenix_assets.clean.config import load_normalize
from phoenix_assets.clean.stages import normalize_documents
from phoenix_assets.content_hash import file_sha256
from phoenix_assets.ingest.config import reader_limits
from phoenix_assets.ingest.extract import DeliveredFile, Extract
from resources.lake import Shard
from resources.shard_work import ShardWork

path, format = Path(sys.argv[1]), sys.argv[2]
folder = path.parent / "lake"
file = DeliveredFile("qa", "d", path.name, path, format, path.stat().st_size, file_sha256(path))
work = ShardWork(Extract(reader_limits()), folder / "documents", folder / "ledger", folder / "quarantine", "delivery", "d")
made = work((file,))
for staged in made.documents:
    normalize_documents(Shard(folder / "documents" / staged.path, "delivery", "d").read(), load_normalize("parallel"))
print(sum(staged.rows for staged in made.ledger), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
TEXT = inspect.getsource(json) + inspect.getsource(gzip) + inspect.getsource(io)  # real, some 40 kB


def documents(size: int) -> bytes:
    line = json.dumps({"text": TEXT}).encode() + b"\n"
    return line * (size // len(line))


def rejects(size: int) -> bytes:
    line = TEXT.replace("\n", " ").encode() + b"\n"
    return line * (size // len(line))


def pages(size: int) -> bytes:
    record = io.BytesIO()
    page = f"<html><title>t</title><body><pre>{TEXT}</pre></body></html>".encode()
    http = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
    writer = WARCWriter(record, gzip=True)
    writer.write_record(
        writer.create_warc_record("http://e.org/", "response", payload=io.BytesIO(page), http_headers=http)
    )
    return record.getvalue() * (size // len(page))


def peak(path: Path, format: str, content: bytes) -> tuple[int, int]:
    """Return how many records the stages saw, and the most memory that they had at once (kB)."""
    path.parent.mkdir()
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", STAGES, str(path), format], capture_output=True, text=True, check=True
    )
    records, memory = done.stdout.split()
    return int(records), int(memory)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "written"),
    [("jsonl", documents), ("jsonl", rejects), ("warc", pages)],
    ids=["documents", "rejects", "pages"],
)
def test_sixteen_times_the_input_takes_the_same_memory(
    format: str, written: Callable[[int], bytes], tmp_path: Path
) -> None:
    peak(tmp_path / "compiled" / "a", format, written(MEGABYTE))  # kernels are compiled here, at a price
    few, small = peak(tmp_path / "small" / "a", format, written(SMALL * MEGABYTE))
    many, large = peak(tmp_path / "large" / "a", format, written(LARGE * MEGABYTE))
    assert many > LARGE / SMALL * 0.9 * few
    assert large < GROWTH * small

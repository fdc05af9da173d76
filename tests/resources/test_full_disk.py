"""No room in the middle of a write: the error says so, nothing half-written is seen, and the next try succeeds."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from resources.lake import Lake, stage

ROWS = 3000
PROGRAM = """
import os, resource, signal, sys
from pathlib import Path
import polars as pl
from phoenix_assets.errors import StorageError
from resources.lake import Lake, stage

lake, frame = Lake(Path(sys.argv[1])), pl.DataFrame({"text": [os.urandom(200).hex() for _ in range(ROWS)]})
staging, committing = (int(value) for value in sys.argv[2:])

def bound(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    bound(staging)
    file = stage(lake.table_dir("cc/x"), frame, column="delivery", partition="a")
    bound(committing)
    lake.commit("cc/x", frame.schema, [file], column="delivery", partitions=["a"])
except StorageError as error:
    bound(resource.RLIM_INFINITY)
    print(error)
""".replace("ROWS", str(ROWS))
UNBOUNDED = -1


def put(lake: Lake, rows: int) -> int:
    frame = pl.DataFrame({"text": ["天下大势"] * rows})
    file = stage(lake.table_dir("cc/x"), frame, column="delivery", partition="a")
    return lake.commit("cc/x", frame.schema, [file], column="delivery", partitions=["a"])


@pytest.mark.parametrize(
    ("staging", "committing"), [(100_000, UNBOUNDED), (UNBOUNDED, 200)], ids=["rows", "log"]
)
def test_a_full_disk_is_a_clear_error_and_what_was_there_stays(
    tmp_path: Path, staging: int, committing: int
) -> None:
    lake = Lake(tmp_path)
    before = put(lake, 10)
    files = set(lake.root.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(staging), str(committing)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "cannot be written" in done.stdout and "make room" in done.stdout
    assert lake.version("cc/x") == before
    assert pl.read_delta(str(lake.table_dir("cc/x"))).height == 10
    visible = {path for path in set(lake.root.rglob("*")) - files if path.suffix == ".json"}
    assert visible == set()
    assert put(lake, 20) == before + 1
    assert pl.read_delta(str(lake.table_dir("cc/x"))).height == 20

"""An index of more data than there is memory for: blocks, sorting and merging stay within their bounds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from phoenix_assets.dedup.minhash import to_binary

PERMUTATIONS, DOCUMENTS, FILES = 112, 800_000, 8
PRINTS = 4 * PERMUTATIONS * DOCUMENTS  # bytes; the index has half as much besides
ALLOWED = PRINTS * 4 // 5  # beyond what a process has that has decided some documents already
FEW = 3000
# Allocators that reserve memory ahead would be taken for users of it, and so would the stacks of threads.
ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "POLARS_MAX_THREADS": "1"}
PROGRAM = """
import resource, sys
from functools import partial
from pathlib import Path

import numpy as np

from phoenix_assets.dedup import candidates
from phoenix_assets.dedup.candidates import DeliveryInput, Sorting
from phoenix_assets.dedup.config import Granularity, GroupConfig, ShingleConfig, SignatureConfig
from phoenix_assets.dedup.granularity import bands, block, least
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.update import update

home, permutations, allowed, prints = Path(sys.argv[1]), *(int(one) for one in sys.argv[2:])
group = GroupConfig(sources=["cc"], bands=14, rows=8, threshold=0.75, compared=32)
near = Granularity.NEAR
signature = SignatureConfig(permutations=permutations, seed=1, shingle=ShingleConfig(words=5, characters=5))

candidates._fits = lambda *_: False  # the few are sorted as the many are, so that they show what that takes at least

def decide(name, files):
    folder = home / f"{name}-{allowed}"
    folder.mkdir()
    index = Index(folder / "index", bands(near, group), least(near, group, signature), group.compared, 500_000)
    index.folder.mkdir()
    delivery = DeliveryInput("cc", "d", 0, "v", tuple(files))
    as_block = partial(block, granularity=near, group=group, signature=signature)
    update(index, [], [delivery], near.column, Sorting("128MiB", folder, 8192), as_block)
    return index

decide("few", [home / "few.parquet"])
if allowed:
    used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (1024 * used + allowed,) * 2)
    try:
        np.empty(prints, np.uint8)
        sys.exit("there is memory for all the prints")
    except MemoryError:
        pass
index = decide("all", sorted(home.glob("part-*.parquet")))
for _, numbers in index.by_delivery([0], 8192):
    print(index.decisions(numbers).select("number", "doc_id", "duplicate_of").write_csv(include_header=False), end="")
"""


def signatures(start: int, count: int) -> pl.DataFrame:
    """Return SIGNATURES columns of random documents, every tenth of which is a copy."""
    draw = np.random.default_rng(start)
    prints = draw.integers(0, 2**32 - 1, (count, PERMUTATIONS), np.uint32)
    prints[9::10] = prints[4::10]
    return pl.DataFrame(
        {
            "source": "cc",
            "delivery": "d",
            "doc_id": [f"{number:032x}" for number in range(start, start + count)],
            "lang": "en",
            "received": pl.Series([None] * count, dtype=pl.Date),
            "quality": draw.random(count),
            "signature": to_binary(prints),
        }
    )


@pytest.mark.slow
def test_an_index_of_more_data_than_memory_is_made_and_decides_the_same(tmp_path: Path) -> None:
    size = DOCUMENTS // FILES
    for number in range(FILES):
        signatures(number * size, size).write_parquet(
            tmp_path / f"part-{number}.parquet", compression="uncompressed", row_group_size=2000
        )
    signatures(DOCUMENTS, FEW).write_parquet(tmp_path / "few.parquet")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(PERMUTATIONS), str(allowed), str(PRINTS)],
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for allowed in (0, ALLOWED)
    ]
    (unbounded, _), (bounded, error) = (process.communicate(timeout=300) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], error
    assert bounded == unbounded
    assert len(bounded.splitlines()) == DOCUMENTS
    assert sum(line.endswith(",") for line in bounded.splitlines()) == DOCUMENTS * 9 // 10

"""An index of more data than there is memory for: blocks, sorting and merging stay within their bounds."""

import io
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

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

home, permutations, prints, allowed = Path(sys.argv[1]), *(int(one) for one in sys.argv[2:])
group = GroupConfig(sources=["cc"], bands=14, rows=8, threshold=0.75, compared=32)
near = Granularity.NEAR
signature = SignatureConfig(permutations=permutations, seed=1, shingle=ShingleConfig(words=5, characters=5))

candidates._fits = lambda *_: False  # the few are sorted as the many are, so that they show what that takes at least

def decide(name, files):
    folder = home / name
    folder.mkdir()
    index = Index(folder / "index", bands(near, group), least(near, group, signature), group.compared, 500_000)
    index.folder.mkdir()
    delivery = DeliveryInput("cc", "d", 0, "v", tuple(files))
    as_block = partial(block, granularity=near, group=group, signature=signature)
    update(index, [], [delivery], near.column, Sorting("128MiB", folder, 8192), as_block)
    return index

decide("few", [home / "few.parquet"])
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


def doc_ids(numbers: Iterable[int]) -> list[str]:
    return [f"{number:032x}" for number in numbers]


def signatures(start: int, count: int) -> pl.DataFrame:
    """Return SIGNATURES columns of random documents, every tenth of which is a copy."""
    draw = np.random.default_rng(start)
    prints = draw.integers(0, 2**32 - 1, (count, PERMUTATIONS), np.uint32)
    prints[9::10] = prints[4::10]
    return pl.DataFrame(
        {
            "source": "cc",
            "delivery": "d",
            "doc_id": doc_ids(range(start, start + count)),
            "lang": "en",
            "received": pl.Series([None] * count, dtype=pl.Date),
            "quality": draw.random(count),
            "signature": to_binary(prints),
        }
    )


def true_decisions(quality: np.ndarray) -> pl.DataFrame:
    """Return number, doc_id and duplicate_of: the best document comes first, and of a copy and its like the better stays."""
    like = np.arange(len(quality))
    like[4::10] += 5
    like[9::10] -= 5
    best_first = np.argsort(-quality)
    worse = pl.Series(quality < quality[like])
    names = pl.Series(doc_ids(range(len(quality))))
    behind = pl.select(pl.when(worse).then(names[like])).to_series()
    decided = pl.DataFrame({"doc_id": names[best_first], "duplicate_of": behind[best_first]})
    return decided.with_row_index("number")


@pytest.mark.slow
def test_an_index_of_more_data_than_memory_is_made_and_decides_what_is_true(tmp_path: Path) -> None:
    size, qualities = DOCUMENTS // FILES, []
    for number in range(FILES):
        rows = signatures(number * size, size)
        rows.write_parquet(
            tmp_path / f"part-{number}.parquet", compression="uncompressed", row_group_size=2000
        )
        qualities.append(rows["quality"].to_numpy())
    signatures(DOCUMENTS, FEW).write_parquet(tmp_path / "few.parquet")
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(PERMUTATIONS), str(PRINTS), str(ALLOWED)],
        env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    expected = true_decisions(np.concatenate(qualities))
    decided = pl.read_csv(io.StringIO(made.stdout), has_header=False, schema=expected.schema)
    assert_frame_equal(decided, expected)
    assert decided["duplicate_of"].count() == DOCUMENTS // 10

"""Bands and rows: datasketch's optimum where a group names neither, and what is found with them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from datasketch import MinHash, MinHashLSH
from pydantic import ValidationError

from phoenix_assets.cli import main
from phoenix_assets.config import load
from phoenix_assets.dedup.banding import optimal_banding, share_compared
from phoenix_assets.dedup.config import DedupConfig, Granularity
from phoenix_assets.dedup.granularity import bands, block, least
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.minhash import signatures, to_binary
from phoenix_assets.dedup.shingles import shingle_hashes

COMMITTED = Path(__file__).parents[2] / "config" / "dedup.yaml"
NEAR = Granularity.NEAR


@pytest.fixture(scope="module")
def committed() -> DedupConfig:
    return load(DedupConfig, COMMITTED)


def with_code(config: DedupConfig, **banding: int) -> DedupConfig:
    """Return the configuration with `banding` instead of the bands and rows of the group `code`."""
    groups = config.model_dump()["groups"]
    code = {name: value for name, value in groups["code"].items() if name not in ("bands", "rows")}
    return DedupConfig.model_validate({**config.model_dump(), "groups": {**groups, "code": code | banding}})


@pytest.mark.parametrize(("threshold", "permutations"), [(0.5, 64), (0.75, 112), (0.8, 128), (0.9, 256)])
def test_the_banding_is_that_of_datasketch(threshold, permutations):
    theirs = MinHashLSH(threshold=threshold, num_perm=permutations)
    assert optimal_banding(threshold, permutations) == (theirs.b, theirs.r)
    assert theirs.b * theirs.r <= permutations


def test_a_group_without_bands_and_rows_has_the_optimum_for_its_threshold(committed):
    code = with_code(committed).groups["code"]
    assert (code.bands, code.rows) == optimal_banding(code.threshold, committed.signature.permutations)
    assert code.threshold == committed.groups["code"].threshold


def test_the_banding_that_a_group_names_is_kept(committed):
    code = with_code(committed, bands=7, rows=16).groups["code"]
    assert (code.bands, code.rows) == (7, 16)


@pytest.mark.parametrize("one", ["bands", "rows"])
def test_one_of_bands_and_rows_without_the_other_is_refused(committed, one):
    with pytest.raises(ValidationError, match="'code' names one of bands and rows: name both, or neither"):
        with_code(committed, **{one: 8})


def test_committed_groups_compare_nearly_all_duplicates_and_few_others(committed):
    for group in committed.groups.values():
        shares = [
            share_compared(similarity, group.bands, group.rows)
            for similarity in (group.threshold - 0.25, group.threshold + 0.05, group.threshold + 0.1)
        ]
        assert shares[0] < 0.06
        assert shares[1] > 0.85
        assert shares[2] > 0.98


def test_a_configuration_that_names_its_banding_is_read_without_scipy():
    program = (
        "import sys; from pathlib import Path; from phoenix_assets.config import load; "
        "from phoenix_assets.dedup.config import DedupConfig; "
        f"load(DedupConfig, Path({str(COMMITTED)!r})); "
        "print([name for name in ('scipy', 'datasketch', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_prints_the_banding_and_what_is_compared_with_it():
    printed = CliRunner().invoke(main, ["banding", "--threshold", "0.75"])
    assert printed.exit_code == 0, printed.output
    cut, rows = optimal_banding(0.75, 112)
    first, _, *lines = printed.output.splitlines()
    assert first == f"{cut} bands x {rows} rows ({cut * rows} of 112 permutations)"
    shares = {float(line.split()[0]): line.split()[1] for line in lines}
    assert shares[0.8] == f"{share_compared(0.8, cut, rows):.3%}"
    assert list(shares) == sorted(shares)


@pytest.mark.parametrize("arguments", [["--threshold", "0"], ["--threshold", "1.1"], []])
def test_the_command_refuses_a_threshold_that_is_none(arguments):
    assert CliRunner().invoke(main, ["banding", *arguments]).exit_code == 2


def test_as_many_injected_near_duplicates_are_found_as_with_datasketch(
    committed, edited_pairs, signature_config, tmp_path
):
    """Both with the banding that the threshold implies, on the same shingles; ours has to agree in signatures as well."""
    group = with_code(committed).groups["code"]
    texts = pl.concat([edited_pairs["text"], edited_pairs["other"].alias("text")])
    values, ends = shingle_hashes(texts, signature_config.shingle)
    sets = [values[ends[row] : ends[row + 1]] for row in range(len(texts))]
    pairs = len(edited_pairs)
    alike = [row for row in range(pairs) if jaccard(sets[row], sets[row + pairs]) >= group.threshold + 0.1]
    assert len(alike) > 100

    lsh = MinHashLSH(threshold=group.threshold, num_perm=signature_config.permutations)
    for row, shingles in enumerate(sets[:pairs]):
        lsh.insert(row, sketch(shingles, signature_config.permutations))
    theirs = sum(row in lsh.query(sketch(sets[row + pairs], signature_config.permutations)) for row in alike)

    index = Index(tmp_path, bands(NEAR, group), least(NEAR, group, signature_config), group.compared, 1000)
    documents = pl.DataFrame(
        {
            "doc_id": [f"{number:032x}" for number in range(2 * pairs)],
            "lang": "zh",
            "delivery_number": 0,
            "print": to_binary(signatures(texts, signature_config)),
        }
    )
    index.add([block(documents, NEAR, group, signature_config)])
    survivors = index.gather("survivors", np.arange(2 * pairs))
    ours = sum(survivors[row] == survivors[row + pairs] for row in alike)
    assert ours >= theirs > 0.95 * len(alike)


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    shared = len(np.intersect1d(left, right))
    return shared / (len(np.unique(left)) + len(np.unique(right)) - shared)


def sketch(shingles: np.ndarray, permutations: int) -> MinHash:
    """Return datasketch's MinHash of shingles."""
    made = MinHash(num_perm=permutations, seed=1)
    made.update_batch([shingle.tobytes() for shingle in shingles])
    return made

"""Weights learned while training: DoReMi's update by hand, and a real job that learns them, resumes and reports."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from training_jobs.checkpoints import checkpoint_dir, read_manifest
from training_jobs.data_order import open_plan
from training_jobs.errors import TrainingJobError
from training_jobs.group_dro import WEIGHTS_FILE, read_domain_weights, updated
from training_jobs.job import GroupDro, Hardware
from training_jobs.nemo_toolkit import train

STEP = {"step_size": 1.0, "smoothing": 0.1}


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_an_update_multiplies_by_the_exponential_normalises_and_smooths():
    """1/2 * e^ln 3 : 1/2 * e^0 = 3 : 1, so 0.9 * 0.75 + 0.05 and 0.9 * 0.25 + 0.05."""
    weights = updated(doubles(0.5, 0.5), doubles(math.log(3), 0), **STEP)
    assert weights.tolist() == pytest.approx([0.725, 0.275])
    # 0.725 : 0.275 * e^(ln 2) = 0.725 : 0.55
    again = updated(weights, doubles(0, math.log(2)), **STEP)
    assert again.tolist() == pytest.approx([0.9 * 0.725 / 1.275 + 0.05, 0.9 * 0.55 / 1.275 + 0.05])


def test_a_smaller_step_moves_the_weights_less_and_equal_losses_move_them_only_to_even_ones():
    still = updated(doubles(0.8, 0.2), doubles(2, 2), step_size=1, smoothing=0)
    assert still.tolist() == pytest.approx([0.8, 0.2])
    small = updated(doubles(0.5, 0.5), doubles(math.log(3), 0), step_size=0.5, smoothing=0)
    assert small.tolist() == pytest.approx([math.sqrt(3) / (math.sqrt(3) + 1), 1 / (math.sqrt(3) + 1)])


@pytest.fixture
def jobs(make_job, token_folder: Path, tmp_path: Path):
    """A reference of 4 steps, and the job that learns weights beside it: sequences are of two domains by turns."""
    reference = make_job(steps=4, checkpoint_every=4, validate_every=4)
    folder = tmp_path / "reference"
    folder.mkdir()
    reference.save(folder)
    train(folder)
    plan, _ = open_plan(reference.resolve(reference.data.order))
    np.save(tmp_path / "domains.npy", np.arange(len(plan.places)) % 2)
    settings = GroupDro(
        reference=checkpoint_dir(folder, 4),
        domains=tmp_path / "domains.npy",
        count=2,
        step_size=1,
        smoothing=1e-3,
    )
    return lambda **changes: make_job(
        steps=4, checkpoint_every=2, validate_every=4, fingerprint="dro", group_dro=settings, **changes
    )


def run(job, folder: Path) -> np.ndarray:
    folder.mkdir()
    job.save(folder)
    train(folder)
    return read_domain_weights(folder, job.steps)


def test_a_job_learns_weights_the_same_on_other_micro_batches_and_leaves_a_model(
    jobs, tmp_path: Path
) -> None:
    path = run(jobs(), tmp_path / "four")
    assert path.shape == (4, 2)
    assert np.allclose(path.sum(axis=1), 1) and (path > 0).all()
    assert not np.allclose(path[0], 0.5, atol=1e-6)
    assert np.allclose(path, run(jobs(hardware=Hardware(micro_batch_size=8)), tmp_path / "eight"), atol=1e-4)
    names = {file.name for file in read_manifest(checkpoint_dir(tmp_path / "four", 4)).files}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names


def test_a_job_that_was_interrupted_goes_on_from_its_weights(jobs, tmp_path: Path) -> None:
    whole = run(jobs(), tmp_path / "whole")
    folder = tmp_path / "whole"
    manifest = checkpoint_dir(folder, 4) / "manifest.json"
    manifest.unlink()  # the last checkpoint was never whole
    lines = (folder / WEIGHTS_FILE).read_text("utf-8").splitlines()
    (folder / WEIGHTS_FILE).write_text("\n".join([*lines[:2], '{"step": 3, "wei']) + "\n", "utf-8")
    train(folder)
    assert np.allclose(read_domain_weights(folder, 4), whole, atol=1e-12)
    assert [json.loads(line)["step"] for line in (folder / WEIGHTS_FILE).read_text().splitlines()[-2:]] == [
        3,
        4,
    ]


def test_a_step_that_was_never_reported_is_named(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS_FILE).write_text('{"step": 1, "weights": [0.5, 0.5]}\n')
    with pytest.raises(TrainingJobError, match="step 2 is not in it"):
        read_domain_weights(tmp_path, 2)

"""Runs that start from a checkpoint: by its tokenizer, by one that extends it, and never by another one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from lightning.pytorch import Callback
from tokenizers import Tokenizer

from training_jobs.checkpoints import CheckpointManifest, checkpoint_dir, list_checkpoints
from training_jobs.errors import CheckpointError
from training_jobs.job import ModelSize, Start, TrainingJob
from training_jobs.messages import MESSAGES_FILE, StepMetrics, metrics_by_step, tail
from training_jobs.nemo_toolkit import train
from training_jobs.start import require_start
from training_jobs.trainer_state import EMBEDDING, HEAD, load_weights

pytestmark = pytest.mark.usefixtures("torch_settings")

MakeJob = Callable[..., TrainingJob]


class FirstWeights(Callback):
    """Keeps the weights that the run begins with."""

    def on_train_start(self, trainer, pl_module) -> None:
        self.weights = {name: value.clone() for name, value in pl_module.network.state_dict().items()}


@pytest.fixture(scope="module")
def parents() -> dict[bool, CheckpointManifest]:
    return {}


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def parent(
    request: pytest.FixtureRequest,
    parents: dict[bool, CheckpointManifest],
    make_job: MakeJob,
    tmp_path_factory: pytest.TempPathFactory,
) -> CheckpointManifest:
    """The last checkpoint of a run of its own."""
    tied = request.param
    if tied not in parents:
        state_dir = tmp_path_factory.mktemp("parent")
        job = make_job(steps=8, model=shape(make_job, tie_embeddings=tied))
        job.save(state_dir)
        train(state_dir)
        parents[tied] = list_checkpoints(state_dir)[-1]
    return parents[tied]


def shape(make_job: MakeJob, **changes: object) -> ModelSize:
    return make_job().model.model_copy(update=changes)


def trained(state_dir: Path, job: TrainingJob) -> tuple[dict[int, StepMetrics], dict[str, torch.Tensor]]:
    state_dir.mkdir(exist_ok=True)
    job.save(state_dir)
    first = FirstWeights()
    train(state_dir, [first])
    return metrics_by_step(tail(state_dir / MESSAGES_FILE)[0]), first.weights


def tied(parent: CheckpointManifest) -> bool:
    return bool(json.loads((parent.directory / "config.json").read_text())["tie_word_embeddings"])


def test_a_run_goes_on_from_the_weights_and_counts_the_tokens_behind_them(
    parent: CheckpointManifest, make_job: MakeJob, tmp_path: Path
) -> None:
    model = shape(make_job, tie_embeddings=tied(parent))
    start = Start(checkpoint=parent.directory)
    job = make_job(experiment="annealed", model=model, start=start, steps=4, checkpoint_every=2)
    metrics, weights = trained(tmp_path, job)
    before = load_weights(parent.directory, tie_embeddings=model.tie_embeddings)
    assert all(torch.equal(weights[name], value) for name, value in before.items())
    assert metrics[1].loss < parent.train_loss + 0.3
    first, second = list_checkpoints(tmp_path)
    assert (first.parent, second.parent) == (parent.digest, first.digest)
    assert (parent.tokens, first.tokens, second.tokens) == (8 * 128, 10 * 128, 12 * 128)
    assert metrics[4].tokens_seen == 12 * 128
    assert (first.step, first.sequences) == (2, 16)  # of the run's own order


def test_a_run_that_is_resumed_still_counts_what_it_started_from(
    parent: CheckpointManifest, make_job: MakeJob, tmp_path: Path
) -> None:
    model = shape(make_job, tie_embeddings=tied(parent))
    start = Start(checkpoint=parent.directory)
    job = make_job(experiment="annealed", model=model, start=start, steps=4, checkpoint_every=2)
    whole, _ = trained(tmp_path / "whole", job)
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    shutil.rmtree(checkpoint_dir(tmp_path / "half", 4))
    resumed, _ = trained(tmp_path / "half", job)
    assert resumed[4].tokens_seen == whole[4].tokens_seen == 12 * 128
    assert list_checkpoints(tmp_path / "half")[-1].digest == list_checkpoints(tmp_path / "whole")[-1].digest


def test_an_extended_tokenizer_gets_rows_that_are_the_means_of_what_its_tokens_were(
    parent: CheckpointManifest, make_job: MakeJob, extended_folder: Path, tmp_path: Path
) -> None:
    added = pl.read_parquet(extended_folder / "extension.parquet")
    model = shape(make_job, tie_embeddings=tied(parent), vocab_size=300 + added.height)
    start = Start(checkpoint=parent.directory, added_tokens=Path("extension.parquet"))
    job = make_job(experiment="extended", base=extended_folder, model=model, start=start, steps=4)
    metrics, weights = trained(tmp_path, job)
    before = load_weights(parent.directory, tie_embeddings=model.tie_embeddings)
    for name, value in before.items():
        assert torch.equal(weights[name][: len(value)], value)
        if name in (EMBEDDING, HEAD):
            means = [value[parts].mean(dim=0) for parts in added["parts"].to_list()]
            assert torch.allclose(weights[name][300:], torch.stack(means))
    assert metrics[4].loss < metrics[1].loss
    checkpoint = list_checkpoints(tmp_path)[-1]
    again = Start(checkpoint=checkpoint.directory, added_tokens=start.added_tokens)
    assert require_start(job.model_copy(update={"start": again})) == checkpoint  # nothing is added twice


def refused(job: TrainingJob, state_dir: Path, complaint: str) -> None:
    job.save(state_dir)
    with pytest.raises(CheckpointError, match=complaint):
        train(state_dir)
    assert not (state_dir / MESSAGES_FILE).exists()  # before the first step, and before the trainer begins


def test_a_checkpoint_that_was_trained_with_another_tokenizer_is_refused(
    parent: CheckpointManifest, make_job: MakeJob, extended_folder: Path, token_folder: Path, tmp_path: Path
) -> None:
    model = shape(make_job, tie_embeddings=tied(parent), vocab_size=321)
    start = Start(checkpoint=parent.directory)
    not_named = make_job(base=extended_folder, model=model, start=start, steps=4)
    refused(not_named, tmp_path, "at step 8, which was trained with another tokenizer than")
    content = json.loads((extended_folder / "tokenizer.json").read_text("utf-8"))
    merges = content["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]  # the parent's own, in another order
    swapped = extended_folder / "swapped.json"
    Tokenizer.from_str(json.dumps(content)).save(str(swapped))
    data = not_named.data.model_copy(update={"tokenizer_json": swapped})
    named = Start(checkpoint=parent.directory, added_tokens=Path("extension.parquet"))
    refused(
        not_named.model_copy(update={"data": data, "start": named}),
        tmp_path,
        "was trained with another tokenizer",
    )


def test_a_checkpoint_of_another_shape_is_refused(
    parent: CheckpointManifest, make_job: MakeJob, tmp_path: Path
) -> None:
    model = shape(make_job, tie_embeddings=tied(parent), layers=3)
    job = make_job(model=model, start=Start(checkpoint=parent.directory), steps=4)
    refused(job, tmp_path, "whose model has layers 2, and its own has 3")


def test_a_damaged_checkpoint_is_refused(
    parent: CheckpointManifest, make_job: MakeJob, tmp_path: Path
) -> None:
    shutil.copytree(parent.directory, tmp_path / "parent")
    with (tmp_path / "parent/model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\xff\xff\xff\xff")
    model = shape(make_job, tie_embeddings=tied(parent))
    job = make_job(model=model, start=Start(checkpoint=tmp_path / "parent"), steps=4)
    refused(job, tmp_path, r"model\.safetensors: content differs from the manifest's SHA-256")

"""Train the tiny job with NeMo in this process: what the loader serves, what checkpoints and resumes are."""

import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from training_jobs.checkpoints import checkpoint_dir, last_checkpoint, list_checkpoints
from training_jobs.data_order import open_plan
from training_jobs.errors import (
    CheckpointError,
    JobConflict,
    OrderPlanError,
    TokenFileError,
    TrainingDiverged,
)
from training_jobs.indexed_tokens import IndexedTokens
from training_jobs.job import Hardware, TrainingJob
from training_jobs.messages import MESSAGES_FILE, metrics_by_step, tail
from training_jobs.nemo_toolkit import train
from training_jobs.sequence_batches import TrainBatches, order_plan, read_sequences, train_tokens
from training_jobs.trainer_state import from_plain, to_plain

pytestmark = pytest.mark.usefixtures("torch_settings")

MakeJob = Callable[..., TrainingJob]
ODD_TEXTS = [
    "",
    " ",
    "\n\n\t",
    "a\u0000b",
    "１２３ ｆｕｌｌ",
    "🙂👩‍👩‍👧",
    "  don't  ",
    "日本語とEnglish混在",
    "\u200b\ufeff",
    "<|eod|>",
]


class Interrupted(Exception):
    """Stands for whatever ends a run early."""


class Recorder(Callback):
    """Keeps the sequences and the tokens that each step trained on; ends the run before step `stop` on request."""

    def __init__(self, stop: int | None = None) -> None:
        self.sequences: dict[int, list[int]] = defaultdict(list)
        self.tokens: dict[int, list[np.ndarray]] = defaultdict(list)
        self._stop = stop

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        step = trainer.global_step + 1
        if step == self._stop:
            raise Interrupted
        self.sequences[step] += batch["sequences"].tolist()
        self.tokens[step] += [*batch["input_ids"].numpy()]


@pytest.fixture(scope="module")
def runs() -> dict[str, tuple[Path, TrainingJob, Recorder]]:
    return {}


@pytest.fixture
def whole_run(
    runs: dict[str, tuple[Path, TrainingJob, Recorder]],
    make_job: MakeJob,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, TrainingJob, Recorder]:
    if not runs:
        state_dir, job, recorder = tmp_path_factory.mktemp("whole"), make_job(), Recorder()
        job.save(state_dir)
        train(state_dir, [recorder])
        runs["whole"] = state_dir, job, recorder
    return runs["whole"]


def test_the_trainer_sees_exactly_the_batches_of_the_order(
    whole_run: tuple[Path, TrainingJob, Recorder],
) -> None:
    _, job, recorder = whole_run
    tokens = train_tokens(job)
    plan = order_plan(job, tokens)
    assert recorder.sequences == {step: plan.batch(step).tolist() for step in range(1, job.steps + 1)}
    for step, rows in recorder.tokens.items():
        for sequence, row in zip(recorder.sequences[step], rows, strict=True):
            spans = plan.spans(sequence)
            assert np.array_equal(row, np.concatenate([tokens.read(*span) for span in spans]))


def test_a_run_interrupted_between_checkpoints_resumes_as_if_it_had_not_been(
    whole_run: tuple[Path, TrainingJob, Recorder], tmp_path: Path
) -> None:
    state_dir, job, recorder = whole_run
    job.save(tmp_path)
    with pytest.raises(Interrupted):
        train(tmp_path, [Recorder(stop=7)])
    half_written = checkpoint_dir(tmp_path, 6)
    half_written.mkdir()
    (half_written / "model.safetensors").write_bytes(b"half")
    resumed = Recorder()
    train(tmp_path, [resumed])
    assert resumed.sequences == {step: recorder.sequences[step] for step in range(5, job.steps + 1)}
    assert _reports(tmp_path) == _reports(state_dir)
    ours, theirs = last_checkpoint(tmp_path), last_checkpoint(state_dir)
    assert ours is not None
    assert ours == theirs.model_copy(update={"directory": ours.directory})


def _reports(state_dir: Path) -> dict[int, tuple[float, ...]]:
    metrics = metrics_by_step(tail(state_dir / MESSAGES_FILE)[0])
    return {
        step: (m.loss, m.validation_loss or 0.0, m.grad_norm, m.param_norm, m.lr)
        for step, m in metrics.items()
    }


def test_the_reports_show_a_model_that_learns_on_its_schedule(
    whole_run: tuple[Path, TrainingJob, Recorder],
) -> None:
    state_dir, job, _ = whole_run
    metrics = metrics_by_step(tail(state_dir / MESSAGES_FILE)[0])
    assert list(metrics) == list(range(1, job.steps + 1))
    assert metrics[12].loss < metrics[1].loss - 0.5
    assert [step for step, m in metrics.items() if m.validation_loss is not None] == [4, 8, 12]
    assert max(m.lr for m in metrics.values()) == pytest.approx(job.optimizer.lr)
    assert metrics[12].tokens_seen == 12 * job.batch.tokens


def test_a_checkpoint_is_a_hugging_face_model_with_the_job_s_parameters(
    whole_run: tuple[Path, TrainingJob, Recorder],
) -> None:
    state_dir, job, _ = whole_run
    manifest = list_checkpoints(state_dir)[-1]
    model = AutoModelForCausalLM.from_pretrained(manifest.directory)
    assert sum(parameter.numel() for parameter in model.parameters()) == job.model.parameters()
    tokens = IndexedTokens([job.resolve(job.data.validation[0])])
    rows = torch.from_numpy(tokens.windows(np.array([0, 16]), 17))
    with torch.no_grad():
        logits = model(rows[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
    assert float(loss) == pytest.approx(manifest.validation_loss, abs=0.5)


def test_each_checkpoint_names_the_one_before(whole_run: tuple[Path, TrainingJob, Recorder]) -> None:
    first, second, third = list_checkpoints(whole_run[0])
    assert (first.parent, second.parent, third.parent) == (None, first.digest, second.digest)
    assert [manifest.sequences for manifest in (first, second, third)] == [32, 64, 96]


def test_the_exported_tokenizer_encodes_odd_strings_as_the_original(
    whole_run: tuple[Path, TrainingJob, Recorder],
) -> None:
    state_dir, job, _ = whole_run
    exported = AutoTokenizer.from_pretrained(checkpoint_dir(state_dir, job.steps))
    original = Tokenizer.from_file(str(job.resolve(job.data.tokenizer_json)))
    expected = [original.encode(text).ids for text in ODD_TEXTS]
    assert [exported(text)["input_ids"] for text in ODD_TEXTS] == expected
    assert exported.eos_token_id == job.data.eod_id


def test_a_diverging_run_stops_before_it_ruins_the_weights(make_job: MakeJob, tmp_path: Path) -> None:
    class Poison(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
            if trainer.global_step == 5:
                pl_module.network.model.norm.weight.data.fill_(float("inf"))

    make_job().save(tmp_path)
    with pytest.raises(TrainingDiverged, match="step 6"):
        train(tmp_path, [Poison()])
    assert tail(tmp_path / MESSAGES_FILE)[0][-1].params["exception"]["name"] == "TrainingDiverged"


def test_a_run_in_another_order_does_not_go_on_from_this_one_s_checkpoints(
    whole_run: tuple[Path, TrainingJob, Recorder], tmp_path: Path
) -> None:
    state_dir, job, _ = whole_run
    shutil.copytree(state_dir, tmp_path / "run")
    plan, _ = open_plan(job.resolve(job.data.order))
    replace(plan, places=plan.places[::-1]).save(tmp_path / "order")
    other = job.model_copy(update={"data": job.data.model_copy(update={"order": tmp_path / "order"})})
    other.save(tmp_path / "run")
    with pytest.raises(JobConflict, match="was trained in the data order"):
        train(tmp_path / "run")


def test_a_job_longer_than_its_plan_fails_before_its_first_step(make_job: MakeJob, tmp_path: Path) -> None:
    make_job().model_copy(update={"steps": 5000}).save(tmp_path)
    with pytest.raises(OrderPlanError, match=r"5000 steps of 8 sequences do not fit.* lower `steps`"):
        train(tmp_path)
    assert not (tmp_path / MESSAGES_FILE).exists()


def test_a_plan_for_other_shards_is_refused(make_job: MakeJob) -> None:
    job = make_job()
    shards = job.data.model_copy(update={"train": job.data.train[:1]})
    with pytest.raises(OrderPlanError, match="the train shards hold"):
        order_plan(job, train_tokens(job.model_copy(update={"data": shards})))


def test_token_ids_beyond_the_vocabulary_are_named_with_their_sequence(make_job: MakeJob) -> None:
    job = make_job()
    tokens = train_tokens(job)
    plan = order_plan(job, tokens)
    with pytest.raises(
        TokenFileError, match=r"sequence \d+ holds the token id \d+, beyond the vocabulary of 50"
    ):
        read_sequences(tokens, plan, plan.batch(1), vocab_size=50)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_ranks_parts_joined_are_the_global_batch(make_job: MakeJob, ranks: int) -> None:
    job = make_job(hardware=Hardware(devices=ranks, micro_batch_size=2))
    tokens = train_tokens(job)
    plan = order_plan(job, tokens)
    served = [list(TrainBatches(job, tokens, rank=rank, done=3)) for rank in range(ranks)]
    for step in range(4, job.steps + 1):
        micro = slice((step - 4) * job.accumulation, (step - 3) * job.accumulation)
        joined = [batch["sequences"] for rank in served for batch in rank[micro]]
        assert np.array_equal(torch.cat(joined), plan.batch(step))


def test_trainer_state_survives_json_and_tensors() -> None:
    state = {"a": {1: (0.9, 0.95), "b": [None, True, "x"]}, "t": torch.arange(3.0)}
    tensors: dict[str, torch.Tensor] = {}
    restored = from_plain(to_plain(state, "state", tensors), tensors)
    assert restored["a"] == state["a"]
    assert torch.equal(restored["t"], state["t"])


def test_trainer_state_refuses_what_only_pickle_could_save() -> None:
    with pytest.raises(CheckpointError, match=r"state\.f: builtin_function_or_method"):
        to_plain({"f": len}, "state", {})

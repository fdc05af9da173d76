from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from training_jobs.errors import TrainingJobError
from training_jobs.job import Hardware, ModelSize, TrainingJob

MakeJob = Callable[..., TrainingJob]


def test_a_job_survives_its_round_trip_through_json(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    job.save(tmp_path)
    assert TrainingJob.load(tmp_path) == job


def test_the_key_is_the_identity_and_nothing_else(make_job: MakeJob) -> None:
    job = make_job()
    assert job.job_key == make_job(threads=7, log_every=5).job_key
    assert job.job_key != make_job(fingerprint="f1").job_key
    assert job.job_key != make_job(experiment="other").job_key


def test_execution_may_change_within_a_run_and_learning_may_not(make_job: MakeJob) -> None:
    job = make_job()
    hardware = Hardware(devices=2, micro_batch_size=2)
    assert job.same_run(make_job(threads=7, keep=3, hardware=hardware, base=Path("/elsewhere")))
    assert not job.same_run(make_job(seed=1))
    assert not job.same_run(make_job(steps=13))


def test_paths_are_seen_from_the_base(make_job: MakeJob) -> None:
    job = make_job(base=Path("/lake"))
    assert job.resolve(Path("tokens/a")) == Path("/lake/tokens/a")
    assert job.resolve(Path("/other/a")) == Path("/other/a")


def test_the_learning_rate_ends_at_a_tenth_unless_told(make_job: MakeJob) -> None:
    optimizer = make_job().optimizer
    assert optimizer.final_lr == pytest.approx(optimizer.lr / 10)
    assert optimizer.model_copy(update={"min_lr": 0.0}).final_lr == 0.0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"batch": {"tokens": 100, "sequence_length": 16}}, "multiple of sequence_length"),
        ({"hardware": {"micro_batch_size": 3}}, "multiple of 1 ranks x micro_batch_size 3"),
        ({"hardware": {"micro_batch_size": 4, "devices": 3}}, "3 ranks"),
        ({"batch": {"tokens": 256, "sequence_length": 64}}, "exceeds the context"),
        ({"experiment": "../up"}, "pattern"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused(
    make_job: MakeJob, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        make_job(**changes)


def test_a_folder_without_a_job_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingJobError, match=r"job\.json: not a training job"):
        TrainingJob.load(tmp_path)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 4])
def test_the_parameter_count_is_that_of_the_real_model(tied: bool, kv_heads: int) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size = ModelSize(
        layers=3,
        hidden=64,
        ffn=172,
        heads=4,
        kv_heads=kv_heads,
        context=32,
        vocab_size=500,
        tie_embeddings=tied,
    )
    config = LlamaConfig(
        vocab_size=500,
        hidden_size=64,
        intermediate_size=172,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=tied,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    assert size.parameters() == sum(parameter.numel() for parameter in model.parameters())

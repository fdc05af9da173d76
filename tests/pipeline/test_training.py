"""From tokens to a leaderboard: a real NeMo job on the small corpus, its checkpoints, evaluations and audits."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from tokenizers import Tokenizer

from phoenix_assets.audit.document import audit_document
from phoenix_assets.audit.trace import trace_steps
from phoenix_assets.audit.upstream import audit_checkpoint
from phoenix_assets.evaluate.checks import HELD_OUT
from phoenix_assets.lineage import SideTable
from phoenix_assets.tokens.indexed import read_indexed
from phoenix_assets.tokens.trace import TraceIndex
from phoenix_assets.train.checks import BEATS_UNIGRAM
from training_jobs.checkpoints import list_checkpoints

pytestmark = pytest.mark.slow

TINY = {"layers": 2, "hidden": 64, "ffn": 128, "heads": 4, "kv_heads": 2, "context": 64}
EXPERIMENT = {
    "description": "A tiny run.",
    "size": "tiny",
    "mixture": "v3",
    "batch": {"tokens": 512, "sequence_length": 64},
    "hardware": {"micro_batch_size": 4},
    "steps": 12,
    "optimizer": {"lr": 1e-2, "warmup_steps": 2},
    "checkpoint_every": 4,
    "validate_every": 4,
    "validation_sequences": 8,
    "seed": 7,
}
STEPS = ["step-000004", "step-000008", "step-000012"]
EXTENSION = {"mixture": "v3", "languages": ["zh"], "bytes_per_language": 300_000, "seed": 7, "tokens": 50}
CONTINUED = EXPERIMENT | {
    "description": "The tiny run goes on, with more Chinese tokens.",
    "tokenizer": "tokenizer_zh",
    "start": {"experiment": "demo", "step": 8},
    "steps": 4,
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's configuration with two tiny experiments in it: the second goes on from the first."""
    config = tmp_path_factory.mktemp("tiny") / "config"
    shutil.copytree(Path(__file__).resolve().parents[2] / "config", config)
    sizes = yaml.safe_load((config / "model_sizes.yaml").read_text("utf-8"))["sizes"]
    (config / "model_sizes.yaml").write_text(yaml.safe_dump({"sizes": sizes | {"tiny": TINY}}))
    (config / "experiments/demo.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    (config / "experiments/continued.yaml").write_text(yaml.safe_dump(CONTINUED))
    (config / "tokenizer_extensions").mkdir()
    (config / "tokenizer_extensions/tokenizer_zh.yaml").write_text(yaml.safe_dump(EXTENSION))
    evaluation = yaml.safe_load((config / "evaluation.yaml").read_text("utf-8"))
    (config / "evaluation.yaml").write_text(yaml.safe_dump(evaluation | {"context": 64, "max_documents": 5}))
    return config


@pytest.fixture(scope="module")
def trained_home(small_corpus: Path, config: Path, home_at, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus with the tiny experiments trained, evaluated and ranked, made once."""
    path = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(small_corpus, path, symlinks=True)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PHOENIX_CONFIG", str(config))
        home = home_at(path).use(environment)
        home.reload_definitions()
        home.bring_up("leaderboard")
        home.close()
    return path


@pytest.fixture
def trained(trained_home: Path, config: Path, home_at, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the trained home that a test may change."""
    shutil.copytree(trained_home, tmp_path / "home", symlinks=True)
    monkeypatch.setenv("PHOENIX_CONFIG", str(config))
    home = home_at(tmp_path / "home").use(monkeypatch)
    home.reload_definitions()
    yield home
    home.close()


def test_a_run_is_trained_evaluated_ranked_and_audited_to_the_token(trained) -> None:
    metrics = trained.lake.read(trained.record("train/demo").as_input()).sort("step").collect()
    assert metrics["step"].to_list() == list(range(1, 13))
    assert metrics["loss"][-1] < metrics["loss"][0]

    heads = trained.ledger.heads("checkpoints/demo")
    assert sorted(heads) == STEPS
    assert [heads[step].record.counts["tokens_seen"] for step in STEPS] == [2048, 4096, 6144]

    board = trained.lake.read(trained.record("leaderboard").as_input()).collect()
    newest = {(row["experiment"], row["step"]) for row in board.iter_rows(named=True)}
    assert newest == {("demo", 12), ("continued", 4)}
    assert board.filter(pl.col("lang") == "all")["perplexity"].is_finite().all()

    audit = audit_checkpoint(trained.lake, trained.ledger, "demo", 8)
    assert audit["verification"]["passed"], audit["verification"]["problems"]
    assert sum(row["tokens_seen"] for row in audit["deliveries"]) == 4096
    assert all(row["licences"] for row in audit["deliveries"])
    filters = [rule for rule in audit["rules"] if rule["asset"].endswith("/filtered")]
    assert all("cond_check_perplexity" in rule["config"]["filter_profile"]["rules"] for rule in filters)

    steps = trace_steps(trained.lake, trained.ledger, "demo", 1, 12)
    assert sum(row["tokens"] for row in steps["deliveries"]) == 6144
    assert all(row["licence"] for row in steps["deliveries"])
    served = pl.DataFrame(steps["spans"])
    doc_id = served["doc_id"][0]
    document = audit_document(trained.lake, trained.ledger, doc_id)
    seen = {step for copy in document["training"] for step in copy["steps"]}
    assert seen == set(served.filter(pl.col("doc_id") == doc_id)["step"])
    until_8 = trace_steps(trained.lake, trained.ledger, "demo", 1, 8)["deliveries"]
    by_delivery = {row["delivery"]: row["tokens_seen"] for row in audit["deliveries"]}
    assert {row["delivery"]: row["tokens"] for row in until_8} == {
        delivery: tokens for delivery, tokens in by_delivery.items() if tokens
    }


def test_a_run_goes_on_from_a_checkpoint_with_more_tokens_and_is_audited_with_what_was_before_it(
    trained,
) -> None:
    stored = trained.record("train/continued").record
    started = trained.record("checkpoints/demo", "step-000008").as_input()
    assert started in stored.inputs
    before = trained.lake.read(trained.record("train/demo").as_input()).sort("step").collect()
    metrics = trained.lake.read(trained.record("train/continued").as_input()).sort("step").collect()
    assert metrics["loss"][0] < before["loss"][0] - 0.5  # it knows what the first one has learned
    assert metrics["tokens_seen"].to_list() == [4608, 5120, 5632, 6144]

    files = trained.record("tokens/v3.tokenizer_zh").record.side_tables[SideTable.FILES]
    known = trained.record("models/tokenizer").as_input()
    vocabulary = Tokenizer.from_file(str(trained.lake.stored_file(known, "tokenizer.json"))).get_vocab_size()
    ids = read_indexed(trained.lake.files_folder(files) / "train-00000").tokens
    assert vocabulary <= ids.max() < vocabulary + EXTENSION["tokens"]

    audit = audit_checkpoint(trained.lake, trained.ledger, "continued")
    assert audit["verification"]["passed"], audit["verification"]["problems"]
    assert (
        sum(row["tokens_seen"] for row in audit["deliveries"]) == 6144
    )  # 8 steps of the first run, 4 of its own
    steps = trace_steps(trained.lake, trained.ledger, "continued", 1, 4)
    assert sum(row["tokens"] for row in steps["deliveries"]) == 2048
    board = trained.lake.read(trained.record("leaderboard").as_input()).collect()
    assert set(board.filter(experiment="continued")["parent"]) == {"demo"}


def test_training_again_gives_the_same_data_version_and_asking_again_gives_no_work(trained) -> None:
    assert trained.bring_up("leaderboard") == set()
    first = trained.record("train/demo").record.data_version
    weights = trained.record("checkpoints/demo", STEPS[-1]).record.data_version
    shutil.rmtree(trained.path / "jobs")  # nothing to adopt: the job runs again from its first step
    again = trained.make("train/demo").record
    assert again.data_version == first
    (run,) = (trained.path / "jobs").glob("demo-*")
    assert [manifest.step for manifest in list_checkpoints(run)] == [4, 8, 12]
    assert trained.make("checkpoints/demo", STEPS[-1]).record.data_version == weights


def test_held_out_documents_are_in_no_shard_and_the_checks_say_so(trained) -> None:
    instance = trained.instance
    keys = {"eval/demo": HELD_OUT, "train/demo": BEATS_UNIGRAM}
    found = {}
    for run in instance.get_runs():
        for entry in instance.all_logs(run.run_id):
            event = entry.dagster_event
            if event is not None and event.event_type_value == "ASSET_CHECK_EVALUATION":
                evaluation = event.asset_check_evaluation_data
                found[evaluation.asset_key.to_user_string(), evaluation.check_name] = evaluation.passed
    assert {name: found[name, check] for name, check in keys.items()}["eval/demo"]
    held_out = trained.lake.read(trained.record("mix/v3").as_input()).filter(pl.col("split") == "heldout")
    files = trained.record("tokens/v3").record.side_tables[SideTable.FILES]
    for split in ("train", "validation"):
        in_shards = TraceIndex(trained.lake.files_folder(files), split).doc_ids()
        assert held_out.filter(pl.col("doc_id").is_in(in_shards.implode())).collect().is_empty()
    assert held_out.select(pl.len()).collect().item() > 0

"""Experiments are files: what is wrong with one is said when it is read, and a right one becomes a whole job."""

import shutil
from pathlib import Path

import pytest
import yaml
from dagster import AssetKey

from phoenix_assets.definitions import build
from phoenix_assets.errors import ConfigError
from phoenix_assets.order.config import OrderConfig
from phoenix_assets.train.config import load_experiments, load_sizes, training_job
from training_jobs.job import TokenData

PROJECT = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PROJECT, tmp_path / "config")
    monkeypatch.setenv("PHOENIX_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config/experiments"


def change(folder: Path, **values: object) -> None:
    path = folder / "demo.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text("utf-8")) | values))


def test_an_unknown_size_is_named_with_the_known_ones(experiments: Path) -> None:
    change(experiments, size="700b")
    with pytest.raises(ConfigError, match=r"no size '700b'; there are: .*5m.*7b"):
        load_experiments()


def test_an_unknown_parent_is_named(experiments: Path) -> None:
    change(experiments, parent="task000")
    with pytest.raises(ConfigError, match="parent 'task000' is not an experiment"):
        load_experiments()


def test_a_misspelt_key_is_an_error_and_not_ignored(experiments: Path) -> None:
    change(experiments, learning_rate=1e-3)
    with pytest.raises(ConfigError, match="learning_rate"):
        load_experiments()


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({"wholly": True}, r"order\.wholly = True: Extra inputs are not permitted"),
        (
            {"whole": {"components": ["book"]}, "concentrate": {"components": ["book"]}},
            "component 'book' is named twice in whole, concentrate and groups",
        ),
        (
            {"groups": {"components": ["qa"], "from_step": 251}},
            r"order\.groups: from_step 251 is after the run's last step, 250",
        ),
    ],
)
def test_an_order_that_cannot_be_is_refused_with_the_file_and_the_reason(
    experiments: Path, order: dict[str, object], complaint: str
) -> None:
    change(experiments, order=order)
    with pytest.raises(ConfigError, match=rf"demo\.yaml(.|\n)*{complaint}"):
        load_experiments()


def test_an_experiment_states_all_that_decides_the_order_of_its_data() -> None:
    order = load_experiments()["demo"].data_order()
    assert (order.mixture, order.sequence_length, order.global_batch, order.seed) == ("v3", 256, 8, 1234)
    assert order.options == OrderConfig()


def test_every_size_of_the_table_becomes_a_model_that_can_be_built() -> None:
    sizes = load_sizes()
    assert {"400m", "1.5b", "7b", "13b", "34b"} <= set(sizes)
    for shape in sizes.values():
        assert shape.hidden % shape.heads == 0
        assert shape.heads % shape.kv_heads == 0


def test_an_experiment_becomes_a_job_with_its_data_relative_to_the_home(tmp_path: Path) -> None:
    experiment = load_experiments()["demo"]
    data = TokenData(
        train=(Path("lake/train-00000"),),
        order=Path("lake/order"),
        validation=(Path("lake/validation-00000"),),
        tokenizer_json=Path("lake/tokenizer.json"),
        eod_id=0,
    )
    job = training_job(
        "demo",
        experiment,
        load_sizes()[experiment.size],
        vocab_size=8000,
        data=data,
        fingerprint="f",
        base=tmp_path,
        threads=1,
    )
    assert job.steps >= 200
    assert job.checkpoint_every == 50
    assert 4_000_000 < job.model.parameters() < 8_000_000
    assert job.resolve(job.data.train[0]) == tmp_path / "lake/train-00000"


EXTENSION = {"mixture": "v3", "bytes_per_language": 1000, "seed": 1, "tokens": 10}


def add(folder: Path, name: str, **values: object) -> None:
    """Write an experiment like the demo, with other values."""
    demo = yaml.safe_load((folder / "demo.yaml").read_text("utf-8"))
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(demo | values))


def extend(experiments: Path, name: str, **values: object) -> None:
    folder = experiments.parent / "tokenizer_extensions"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(EXTENSION | values))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"tokenizer": "tokenizer_zh"}, "no tokenizer 'tokenizer_zh'; there are: tokenizer$"),
        (
            {"start": {"experiment": "task0", "step": 50}},
            "start: 'task0' is not an experiment; there are: demo",
        ),
        (
            {"start": {"experiment": "demo", "step": 60}},
            "start: demo leaves no checkpoint at step 60; it leaves one every 50 steps and at its last one, 250",
        ),
        ({"start": {"experiment": "next", "step": 50}}, "need each other's checkpoints: next → next"),
    ],
)
def test_a_start_that_cannot_be_is_refused(experiments: Path, values: dict, complaint: str) -> None:
    add(experiments, "next", **values)
    with pytest.raises(ConfigError, match=complaint):
        load_experiments()


def test_a_tokenizer_that_needs_the_run_that_needs_it_is_a_cycle(experiments: Path) -> None:
    extend(experiments, "tokenizer_zh", checkpoint={"experiment": "demo", "step": 250})
    change(experiments, tokenizer="tokenizer_zh")
    with pytest.raises(ConfigError, match="need each other's checkpoints: demo → demo"):
        load_experiments()
    extend(experiments, "tokenizer_zh", checkpoint={"experiment": "demo", "step": 251})
    with pytest.raises(
        ConfigError, match=r"tokenizer_extensions/tokenizer_zh\.yaml: demo leaves no checkpoint"
    ):
        load_experiments()


def test_a_run_that_goes_on_reads_the_tokens_of_its_tokenizer_and_one_checkpoint(experiments: Path) -> None:
    extend(experiments, "tokenizer_zh")
    add(experiments, "next", tokenizer="tokenizer_zh", start={"experiment": "demo", "step": 100})
    experiment = load_experiments()["next"]
    assert experiment.data_order().tokens == experiment.tokens == "tokens/v3.tokenizer_zh"
    assert experiment.compared_with == "demo"
    graph = build().get_repository_def().asset_graph
    train = graph.get(AssetKey(["train", "next"]))
    assert {key.to_user_string() for key in train.parent_keys} == {
        "tokens/v3.tokenizer_zh",
        "order/next",
        "models/tokenizer_zh",
        "checkpoints/demo",
    }
    (mapping,) = train.partition_mappings.values()
    assert mapping.partition_keys == ["step-000100"]
    assert graph.get(AssetKey(["tokens", "v3.tokenizer_zh"])).tags["phoenix/automation"] == "on_request"

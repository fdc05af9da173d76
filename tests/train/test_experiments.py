"""Experiments are files: what is wrong with one is said when it is read, and a right one becomes a whole job."""

import shutil
from pathlib import Path

import pytest
import yaml

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

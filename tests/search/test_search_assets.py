"""A whole search on the small corpus: real proxies, a fitted surface, learned weights, and recipes that can be planned."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from phoenix_assets.mix.config import load_mixture
from resources.declare import AUTOMATION_TAG, Automation

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = {"layers": 2, "hidden": 64, "ffn": 128, "heads": 4, "kv_heads": 2, "context": 64}
SEARCH = {
    "description": "A tiny search.",
    "mixture": "v3",
    "components": ["crawl", "book", "code"],
    "samples": {"number": 2, "seed": 1},
    "proxy": {
        "size": "tiny",
        "steps": 6,
        "batch": {"tokens": 512, "sequence_length": 64},
        "hardware": {"micro_batch_size": 4},
        "optimizer": {"lr": 1e-2, "warmup_steps": 2},
        "seed": 7,
        "validation_sequences": 8,
    },
    "target": [{"lang": "zh"}, {"lang": "en", "weight": 0.5}],
}
STEPS = ("weights", "runs", "proposal", "reweighting")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's configuration with a tiny search in it."""
    config = Path(shutil.copytree(REPOSITORY / "config", tmp_path_factory.mktemp("search") / "config"))
    sizes = yaml.safe_load((config / "model_sizes.yaml").read_text("utf-8"))
    (config / "model_sizes.yaml").write_text(yaml.safe_dump({"sizes": sizes["sizes"] | {"tiny": TINY}}))
    (config / "searches").mkdir(exist_ok=True)
    (config / "searches/tiny.yaml").write_text(yaml.safe_dump(SEARCH))
    return config


@pytest.fixture
def searching(corpus, config: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setenv("PHOENIX_CONFIG", str(config))
    corpus.reload_definitions()
    return corpus


def recipe(home, step: str, config: Path):
    """The proposed recipe, read from beside the mixtures that it is based on."""
    file = home.lake.stored_file(home.record(f"search/tiny/{step}").as_input(), "mixture.yaml")
    shutil.copy(file, config / f"mixtures/tiny-{step}.yaml")
    return load_mixture(f"tiny-{step}", config / "mixtures")


def processes(home) -> dict[str, int]:
    """When the trainer of each job was started."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (home.path / "jobs").glob("*/process.json")}


def test_a_search_tries_mixtures_proposes_weights_and_trains_nothing_twice(searching, config: Path) -> None:
    tags = {node.key.to_user_string(): node.tags for node in searching.planner.graph.asset_nodes}
    assert {tags[f"search/tiny/{step}"][AUTOMATION_TAG] for step in STEPS} == {Automation.BY_NAME}

    made = searching.bring_up("search/tiny/proposal")
    assert {asset for asset, _ in made} >= {f"search/tiny/{step}" for step in STEPS[:3]}
    trained = processes(searching)
    assert len(trained) == 3
    runs = searching.lake.read(searching.record("search/tiny/runs").as_input()).collect()
    assert runs["sample"].unique().sort().to_list() == [0, 1, 2]
    assert runs["job_key"].n_unique() == 3
    assert runs["loss"].is_between(1, 12).all()
    assert runs.group_by("component", "lang").agg(pl.col("loss").n_unique())["loss"].max() == 3

    proposed = recipe(searching, "proposal", config)
    weights = searching.lake.read(searching.record("search/tiny/weights").as_input()).collect()
    share = weights.filter(pl.col("varied"), sample=0)["weight"].sum()
    stated = {name: proposed.components[name].weight for name in SEARCH["components"]}
    assert sum(stated.values()) == pytest.approx(
        share, abs=0.1
    )  # of the tokens that are estimated, not of these
    assert proposed.components["qa"] == load_mixture("v3", config / "mixtures").components["qa"]

    first = searching.record("search/tiny/runs").record.data_version
    lost = sorted(trained)[0]
    shutil.rmtree(searching.path / "jobs" / lost)
    assert searching.make("search/tiny/runs").record.data_version == first
    again = processes(searching)
    assert {key for key in trained if again[key] != trained[key]} == {lost}

    searching.bring_up("search/tiny/reweighting")
    assert len(processes(searching)) == 4  # the reference is sample 0's proxy
    learned = recipe(searching, "reweighting", config)
    assert all(learned.components[name].weight > 0.01 for name in SEARCH["components"])
    assert searching.bring_up("search/tiny/proposal", "search/tiny/reweighting") == set()

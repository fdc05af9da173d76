"""A frozen mixture in the whole graph: never due, made from its pins, withdrawn when what it pins is erased."""

import shutil

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from phoenix_assets.cli import main
from phoenix_assets.config import config_dir
from phoenix_assets.errors import RecipeDrift, Withdrawn
from resources.build import Build
from resources.frozen import frozen_mixture, frozen_path

FIRST = "mix/v1.1"


def freeze(version: str) -> None:
    result = CliRunner().invoke(main, ["mixture", "freeze", version])
    assert result.exit_code == 0, result.output
    assert f"{version} is frozen: " in result.output


def erase(home, asset: str, partition: str) -> None:
    for shard in home.lake.shards(home.record(asset, partition).as_input()):
        shard.path.unlink()


def empty(home, source: str) -> str:
    """Replace a delivery's tagged documents by none, as another threshold might."""
    (partition, stored), *_ = home.ledger.heads(f"{source}/tagged").items()
    rows = home.lake.read(stored.as_input()).limit(0).collect()
    record = stored.record
    code, inputs = record.code_version, record.inputs
    Build(home.lake, home.ledger, record.asset, partition, code, {}, "run", inputs).commit_frame(rows)
    return partition


def test_what_comes_after_the_freeze_leaves_mixture_and_tokens_alone(corpus) -> None:
    freeze("v3")
    before = corpus.record("mix/v3").record
    empty(corpus, "qa")
    assert {asset for asset in corpus.stale() if asset[0].startswith(("mix/", "tokens/"))} == set()
    assert corpus.bring_up("mix/v3") == set()
    assert "mix/v3" not in corpus.planner.automated()
    assert corpus.planner.select(["tokens/v3"], upstream=True) == {"tokens/v3", "mix/v3", "models/tokenizer"}
    again = corpus.make("mix/v3").record
    assert (again.data_version, again.inputs) == (before.data_version, before.inputs)
    frozen_path(corpus.lake, "v3").unlink()
    assert corpus.stale("mix/v3")[("mix/v3", "")] == "qa/tagged changed"


def test_a_mixture_that_was_never_made_is_made_from_what_it_pins_and_only_when_it_is_asked_for(
    corpus,
) -> None:
    assert {FIRST, "tokens/v1.1"}.isdisjoint(corpus.planner.select([], upstream=True))
    assert {FIRST, "tokens/v1.1"}.isdisjoint(corpus.planner.automated())
    assert corpus.stale(FIRST) == {(FIRST, ""): "not materialised yet"}
    freeze("v1.1")
    partition = empty(corpus, "qa")
    assert corpus.stale(FIRST) == {(FIRST, ""): "not materialised as it was frozen"}
    assert corpus.bring_up(FIRST) == {(FIRST, "")}
    record = corpus.record(FIRST).record
    frozen = frozen_mixture(corpus.lake, "v1.1")
    assert frozen is not None and record.inputs == frozen.inputs
    assert partition in set(corpus.lake.read(corpus.record(FIRST).as_input()).collect()["delivery"])


def test_what_a_frozen_mixture_pins_is_not_to_be_erased_quietly(corpus) -> None:
    freeze("v3")
    asset, partition = "wiki/tagged", next(iter(corpus.ledger.heads("wiki/tagged")))
    erase(corpus, asset, partition)
    named = (
        rf"mixture v3 is withdrawn: it was frozen with wiki/tagged\[{partition}\], whose data has been erased"
    )
    with pytest.raises(Withdrawn, match=named):
        corpus.stale("mix/v3")
    for made in ("mix/v3", "train/demo"):
        with pytest.raises(Withdrawn, match=named):
            corpus.make(made)
    shown = CliRunner().invoke(main, ["mixture", "plan", "v3"])
    assert shown.exit_code == 1 and "mixture v3 is withdrawn" in shown.output
    assert corpus.stale("qa/tagged") == {}  # the rest of the graph goes on


def test_a_changed_recipe_of_a_frozen_mixture_is_an_error_and_not_a_rebuild(
    corpus, tmp_path, monkeypatch
) -> None:
    freeze("v3")
    folder = shutil.copytree(config_dir(), tmp_path / "config")
    path = folder / "mixtures" / "v3.yaml"
    recipe = yaml.safe_load(path.read_text("utf-8"))
    recipe["components"]["crawl"]["rate"] = 0.5
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), "utf-8")
    monkeypatch.setenv("PHOENIX_CONFIG", str(folder))
    corpus.reload_definitions()
    with pytest.raises(RecipeDrift, match=r"crawl\.rate: 0\.43 became 0\.5"):
        corpus.stale("mix/v3")
    with pytest.raises(RecipeDrift):
        corpus.make("mix/v3")


def test_a_component_that_no_document_can_be_in_stops_the_mixture(corpus, tmp_path, monkeypatch) -> None:
    folder = shutil.copytree(config_dir(), tmp_path / "config")
    (folder / "mixtures" / "v9.yaml").write_text(
        "base: v1.1\ncomponents: {crawl: {languages: [cn]}}\n", "utf-8"
    )
    monkeypatch.setenv("PHOENIX_CONFIG", str(folder))
    corpus.reload_definitions()
    result = corpus.planner.repository.get_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[dg.AssetKey(["mix", "v9"])], instance=corpus.instance, raise_on_error=False
    )
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "component 'crawl' has no documents" in str(failure.step_failure_data.error)
    assert "there is no language 'cn'" in str(failure.step_failure_data.error)

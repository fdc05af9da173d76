"""The same deliveries give the same content: in another home, with more workers, cut into other shards, on Ray."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from phoenix_assets.config import config_dir

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smaller_shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Read and write many small shards, so that several workers have something to share."""
    config = Path(shutil.copytree(config_dir(), tmp_path_factory.mktemp("smaller") / "config"))
    limits = config / "reader_limits.yaml"
    values = yaml.safe_load(limits.read_text("utf-8")) | {"shard_bytes": 20_000, "output_characters": 60_000}
    limits.write_text(yaml.safe_dump(values), "utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PHOENIX_CONFIG", str(config))
        yield


@pytest.fixture(scope="module")
def other(smaller_shards, second_home: Callable, tmp_path_factory: pytest.TempPathFactory):
    """The small corpus made once more, by two workers."""
    return second_home(tmp_path_factory.mktemp("other") / "home", workers=2)


def test_two_homes_two_worker_counts_and_two_cuts_into_shards_give_the_same_data_versions(
    small_corpus: Path, home_at, other
) -> None:
    one = home_at(small_corpus)
    crawl = ("cc/extracted", "CC-MAIN-2024-22-000")
    shards = [len(home.lake.shards(home.record(*crawl).as_input())) for home in (one, other)]
    assert shards[0] < shards[1]
    assert one.data_versions() == other.data_versions()
    assert len(one.data_versions()) > 60


@pytest.fixture
def on_ray(other, monkeypatch: pytest.MonkeyPatch):
    """The other home, at work on a Ray cluster of its own."""
    monkeypatch.setenv("PHOENIX_ENGINE", "ray")
    other.use(monkeypatch)
    other.reload_definitions()
    yield other
    other.phoenix.engine.release()
    other.close()


def test_every_stage_made_again_on_ray_has_the_same_data_version(on_ray) -> None:
    data_versions, records = on_ray.data_versions(), on_ray.record_ids()
    stages = {(asset, part) for asset, part in records if part and not asset.endswith("/raw")}
    again = stages | {(asset, part) for asset, part in records if asset.startswith("dedup/")}
    runs: dict[tuple[str, str], list[str]] = {}
    for asset, partition in sorted(again):
        runs.setdefault((asset.split("/")[0], partition), []).append(asset)
    for (_, partition), assets in runs.items():
        on_ray.make_all(assets, partition)
    assert (on_ray.path / "ray").is_dir()  # where our own cluster has its files
    assert on_ray.data_versions() == data_versions
    assert {place for place, record in on_ray.record_ids().items() if record != records[place]} == again
    assert len(again) > 50

"""The same deliveries give the same content: in another home, with more workers, cut into other shards."""

import shutil
from pathlib import Path

import pytest
import yaml

from phoenix_assets.config import config_dir


@pytest.fixture
def smaller_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read and write many small shards, so that several workers have something to share."""
    config = Path(shutil.copytree(config_dir(), tmp_path / "config"))
    limits = config / "reader_limits.yaml"
    values = yaml.safe_load(limits.read_text("utf-8")) | {"shard_bytes": 20_000, "output_characters": 60_000}
    limits.write_text(yaml.safe_dump(values), "utf-8")
    monkeypatch.setenv("PHOENIX_CONFIG", str(config))


@pytest.mark.slow
def test_two_homes_two_worker_counts_and_two_cuts_into_shards_give_the_same_data_versions(
    small_corpus: Path, home_at, smaller_shards, second_home
) -> None:
    one, other = home_at(small_corpus), second_home(workers=2)
    crawl = ("cc/extracted", "CC-MAIN-2024-22-000")
    shards = [len(home.lake.shards(home.record(*crawl).as_input())) for home in (one, other)]
    assert shards[0] < shards[1]
    assert one.data_versions() == other.data_versions()
    assert len(one.data_versions()) > 60

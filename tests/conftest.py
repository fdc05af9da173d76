"""The small sample corpus, brought up to `tokens/v3` once, of which every test that changes something gets a copy of its
own; and a small tokenizer, trained on a Chinese novel and a module of the standard library."""

import argparse
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import dagster as dg
import hypothesis
import polars as pl
import pytest

from phoenix_assets.config import config_dir, load
from phoenix_assets.ingest.sample.build import build_sample, load_sample_config
from phoenix_assets.lineage import StoredRecord
from phoenix_assets.sources import load_sources
from phoenix_assets.tokens.bpe import train_bpe
from phoenix_assets.tokens.config import TokenizerConfig, TokensConfig
from resources.arrivals import take
from resources.instance import prepare_instance
from resources.lake import Lake
from resources.ledger import LineageLedger
from resources.phoenix import Phoenix
from resources.planner import Planner
from resources.runs import bring_up_to_date

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("PHOENIX_HOME", REPOSITORY / ".phoenix")).resolve() / "cache"
hypothesis.settings.register_profile("repeatable", derandomize=True)  # elsewhere every run tries new examples
if os.environ.get("CI"):
    hypothesis.settings.load_profile("repeatable")

CORPUS = "tokens/v3"
STAGES = (  # of every source, in the order of its data
    *("raw", "extracted", "normalized", "filtered", "signatures", "deduped"),
    *("paragraphs", "sentences", "trimmed", "tagged"),
)
LEFT_OUT = {"sanguo-vol2", "poems-and-sayings-2024-07"}  # what the other deliveries show as well

CHINESE = (Path(__file__).parent / "tag" / "data" / "novel_zh.txt").read_text("utf-8").splitlines()
ENGLISH = Path(argparse.__file__).read_text("utf-8").split("\n\n")

Place = tuple[str, str]  # asset, partition


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that processes that share the files end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@dataclass
class Home:
    """A `$PHOENIX_HOME` with its Dagster instance. While a test uses it, the environment points at it."""

    path: Path
    workers: int = 1
    said: list[str] = field(default_factory=list)

    @cached_property
    def phoenix(self) -> Phoenix:
        return Phoenix(home=str(self.path))

    @property
    def lake(self) -> Lake:
        return self.phoenix.lake

    @property
    def ledger(self) -> LineageLedger:
        return self.phoenix.ledger

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(prepare_instance(self.path)))

    @cached_property
    def planner(self) -> Planner:
        from phoenix_assets.definitions import defs

        return Planner(defs.get_repository_def(), self.ledger, self.instance)

    def reload_definitions(self) -> None:
        """Plan with the definitions that the configuration of now gives."""
        from phoenix_assets.definitions import build

        load_sources.cache_clear()
        self.planner = Planner(build().get_repository_def(), self.ledger, self.instance)

    def take_landed(self) -> dict[str, str]:
        """Register what has landed; return what was said of each delivery."""
        return dict(take(self.phoenix, self.instance, load_sources()))

    def stale(self, *assets: str) -> dict[Place, str]:
        """Return what is not fresh of `assets` and what they are made from (default: of the corpus), and why."""
        chosen = self.planner.select(assets or [CORPUS], upstream=True)
        return {(item.asset, item.partition): item.reason for item in self.planner.stale(chosen)}

    def bring_up(self, *assets: str) -> set[Place]:
        """Bring `assets` (default: the corpus) up to date; return what was made."""
        before = self.record_ids()
        chosen = self.planner.select(assets or [CORPUS], upstream=True)
        bring_up_to_date(self.planner, chosen, self.said.append)
        after = self.record_ids()
        return {place for place, record_id in after.items() if before.get(place) != record_id}

    def make(self, asset: str, partition: str = "") -> StoredRecord:
        """Materialise one asset partition, fresh or not."""
        self.make_all([asset], partition)
        return self.record(asset, partition)

    def make_all(self, assets: Iterable[str], partition: str = "") -> None:
        """Materialise assets of one partition in one run, fresh or not."""
        result = self.planner.repository.get_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey(asset.split("/")) for asset in assets],
            partition_key=partition or None,
            instance=self.instance,
        )
        assert result.success

    def record(self, asset: str, partition: str = "") -> StoredRecord:
        stored = self.ledger.head(asset, partition)
        assert stored is not None, f"{asset}[{partition}] is not materialised"
        return stored

    def record_ids(self) -> dict[Place, str]:
        return {place: stored.record.record_id for place, stored in self.heads().items()}

    def data_versions(self) -> dict[Place, str]:
        return {place: stored.record.data_version for place, stored in self.heads().items()}

    def heads(self) -> dict[Place, StoredRecord]:
        """Return the newest record of every asset partition."""
        return {
            (asset, partition): stored
            for asset, partitions in self.ledger.all_heads().items()
            for partition, stored in partitions.items()
        }

    def use(self, environment: pytest.MonkeyPatch) -> "Home":
        environment.setenv("PHOENIX_HOME", str(self.path))
        environment.setenv("DAGSTER_HOME", str(prepare_instance(self.path)))
        environment.setenv("PHOENIX_WORKERS", str(self.workers))
        return self

    def close(self) -> None:
        if "instance" in self.__dict__:
            self.instance.dispose()


def new_home(path: Path, workers: int = 1) -> Home:
    """Make a home that shares the downloads of `$PHOENIX_HOME` or of the project's own."""
    path.mkdir(parents=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    (path / "cache").symlink_to(CACHE)
    return Home(path, workers)


def land_small_corpus(home: Home) -> None:
    config = load_sample_config()
    deliveries = tuple(one for one in config.deliveries if one.delivery not in LEFT_OUT)
    build_sample(home.path, config.model_copy(update={"deliveries": deliveries}), small=True)


def bring_up_small_corpus(home: Home) -> None:
    with pytest.MonkeyPatch.context() as environment:
        home.use(environment)
        land_small_corpus(home)
        home.take_landed()
        home.bring_up()
        home.close()


def copied(source: Path, target: Path) -> Home:
    """Copy a home; the lake's files, which are never written twice, as hard links."""
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("lake"))
    shutil.copytree(source / "lake", target / "lake", copy_function=os.link)
    return Home(target)


@pytest.fixture(scope="session")
def stages() -> tuple[str, ...]:
    """The stages of every source, in the order of its data."""
    return STAGES


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the small corpus, made once for all test processes. Read it, don't change it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _made_once(base)
    return copied(_made_once(base.parent), base / "small-corpus").path


def _made_once(folder: Path) -> Path:
    home, done = folder / "small-corpus", folder / "small-corpus.done"
    with (folder / "small-corpus.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(home, ignore_errors=True)
            bring_up_small_corpus(new_home(home))
            done.touch()
    return home


@pytest.fixture
def corpus(small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A copy of the small corpus that a test may change."""
    home = copied(small_corpus, tmp_path / "home").use(monkeypatch)
    yield home
    home.close()
    load_sources.cache_clear()


@pytest.fixture(scope="session")
def home_at() -> Callable[[Path], Home]:
    """How to look at a home without using it."""
    return Home


@pytest.fixture(scope="session")
def second_home() -> Callable[[Path, int], Home]:
    """How to make the small corpus once more."""

    def make(path: Path, workers: int) -> Home:
        home = new_home(path, workers)
        home.reload_definitions()
        bring_up_small_corpus(home)
        load_sources.cache_clear()
        return Home(home.path, workers)

    return make


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home in which nothing has landed yet."""
    home = new_home(tmp_path / "home").use(monkeypatch)
    yield home
    home.close()


@pytest.fixture(scope="session")
def texts() -> pl.Series:
    return pl.Series([*CHINESE, *ENGLISH])


@pytest.fixture(scope="session")
def tokenizer_config() -> TokenizerConfig:
    return load(TokenizerConfig, config_dir() / "tokenizer.yaml").model_copy(update={"vocab_size": 1500})


@pytest.fixture(scope="session")
def tokens_config() -> TokensConfig:
    return load(TokensConfig, config_dir() / "tokens.yaml").model_copy(
        update={"batch_documents": 64, "shard_tokens": 5000}
    )


@pytest.fixture(scope="session")
def tokenizer_json(texts: pl.Series, tokenizer_config: TokenizerConfig) -> bytes:
    return train_bpe(texts, tokenizer_config)

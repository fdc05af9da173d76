"""From a crawl's listing on a server to extracted documents: the command line, the asset, the landing folder, the lake."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner, Result

from phoenix_assets.cli import main
from phoenix_assets.errors import ConfigError
from phoenix_assets.ingest.assets import downloads, ingest_assets
from phoenix_assets.ingest.download_config import load_downloads
from phoenix_assets.sources import load_sources
from resources.storage_budget import StorageBudget, StorageConfig

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST, SECOND = "CC-MAIN-2024-22-000", "CC-MAIN-2024-22-001"


@pytest.fixture
def configured(crawl, crawl_source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project's configuration, its downloads pointed at the test's server."""
    settings = crawl_source().model_dump(mode="json")
    config = Path(shutil.copytree(REPOSITORY / "config", tmp_path / "config"))
    (config / "downloads.yaml").write_text(yaml.safe_dump({"sources": {"cc": settings}}), "utf-8")
    monkeypatch.setenv("PHOENIX_CONFIG", str(config))
    load_sources.cache_clear()
    yield config
    load_sources.cache_clear()


@pytest.fixture
def phoenix_command(empty_home, configured: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(main, words)


@pytest.fixture
def materialize(empty_home, configured: Path) -> Callable[..., dg.ExecuteInProcessResult]:
    empty_home.instance = dg.DagsterInstance.ephemeral()
    chain = ingest_assets("cc", load_sources()["cc"])

    def run(delivery: str, *stages: str) -> dg.ExecuteInProcessResult:
        empty_home.instance.add_dynamic_partitions(downloads("cc").name, [delivery])
        return dg.materialize(
            chain,
            selection=[dg.AssetKey(["cc", stage]) for stage in stages or ("downloaded",)],
            partition_key=delivery,
            instance=empty_home.instance,
            resources={"phoenix": empty_home.phoenix},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )

    return run


def limit_storage(config: Path, capacity: int) -> StorageConfig:
    settings = StorageConfig(capacity_bytes=capacity, trash_days=7, keep_free_bytes=0)
    (config / "storage.yaml").write_text(yaml.safe_dump(settings.model_dump()), "utf-8")
    return settings


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = result.get_asset_materialization_events()
    return {
        name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
    }


def why(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.error.cause.message


def test_a_download_becomes_documents_that_know_where_they_came_from(crawl, empty_home, materialize) -> None:
    crawl.publish(3)
    crawl.faults[crawl.paths[0]] = ["cut"]
    result = materialize(FIRST)
    assert result.success
    shown = metadata_of(result)
    assert (shown["segments"], shown["attempts"], shown["resumed"], shown["failed_attempts"]) == (3, 4, 1, 1)
    assert shown["bytes"] == sum(len(crawl.files[path]) for path in crawl.paths)
    assert shown["megabytes_per_second"] > 0

    assert empty_home.take_landed() == {f"cc/{FIRST}": ""}
    assert materialize(FIRST, "raw", "extracted").success
    documents = empty_home.lake.read(empty_home.record("cc/extracted", FIRST).as_input()).collect()
    assert sorted(documents["title"]) == sorted(
        f"Page {file}.{page}" for file in range(3) for page in range(2)
    )

    downloaded = empty_home.record("cc/downloaded", FIRST)
    assert empty_home.record("cc/raw", FIRST).record.inputs == (downloaded.as_input(),)
    segments = empty_home.lake.read(downloaded.as_input()).sort("file").collect()
    assert segments.columns == [
        "file", "url", "bytes", "etag", "last_modified", "sha256", "attempts", "resumed", "delivery",
    ]  # fmt: skip
    assert segments["url"].to_list() == [crawl.url + path for path in crawl.paths]
    registered = empty_home.lake.read(empty_home.record("cc/raw", FIRST).as_input()).sort("file").collect()
    assert segments["sha256"].to_list() == registered["sha256"].to_list()


def test_the_same_files_are_the_same_data_whatever_their_download_took(
    crawl, empty_home, materialize
) -> None:
    crawl.publish(3)
    assert materialize(FIRST).success
    smooth = empty_home.record("cc/downloaded", FIRST).record
    shutil.rmtree(empty_home.phoenix.landing)
    crawl.faults = {path: ["cut", "status 503 0"] for path in crawl.paths}
    assert materialize(FIRST).success
    rough = empty_home.record("cc/downloaded", FIRST).record
    assert rough.data_version == smooth.data_version
    assert (rough.counts["attempts"], smooth.counts["attempts"]) == (9, 3)


def test_a_vendors_delivery_names_no_download(crawl, empty_home, materialize) -> None:
    crawl.publish(3)
    assert materialize(FIRST).success
    manifest = empty_home.phoenix.landing / "cc" / FIRST / "delivery.yaml"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text("utf-8").replace("Common Crawl Foundation", "a vendor"), "utf-8")
    empty_home.take_landed()
    assert materialize(FIRST, "raw").success
    assert empty_home.record("cc/raw", FIRST).record.inputs == ()


def test_a_download_that_fails_says_what_is_missing_and_lands_nothing(crawl, empty_home, materialize) -> None:
    crawl.publish(3)
    crawl.faults[crawl.paths[2]] = ["wrong bytes"] * 3
    assert f"1 of 3 files of {FIRST} failed" in why(materialize(FIRST))
    assert empty_home.take_landed() == {}
    assert empty_home.ledger.head("cc/downloaded", FIRST) is None


def test_a_download_without_room_is_refused_with_the_date_at_which_it_fits(
    crawl, configured: Path, empty_home, materialize
) -> None:
    crawl.publish(3)
    home = empty_home.path
    settings = limit_storage(configured, 40_000_000)
    old = home / "lake" / "old"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(40_000_000))
    deleted = datetime.now(UTC)
    StorageBudget(home, settings).delete(old, deleted)
    refused = why(materialize(FIRST))
    assert f"cc/{FIRST} needs 0.00 GB" in refused
    assert f"It will fit on {deleted + timedelta(days=7):%Y-%m-%d %H:%M} UTC" in refused
    assert all(crawl.gets(path) == [] for path in crawl.paths)


def test_the_plan_shows_the_deliveries_and_what_fits(crawl, configured: Path, phoenix_command) -> None:
    crawl.publish(4)
    assert phoenix_command("crawl", "plan", "CC-MAIN-2024-22", "--source", "cc").output.splitlines() == [
        f"{FIRST}  3 files",
        f"{SECOND}  1 files",
    ]
    first, _ = phoenix_command(
        "crawl", "plan", "CC-MAIN-2024-22", "--source", "cc", "--deliveries", "0:2", "--sizes"
    ).output.splitlines()
    assert first == f"{FIRST}  3 files  0.00 GB  fits"
    limit_storage(configured, 1)
    (only,) = phoenix_command(
        "crawl", "plan", "CC-MAIN-2024-22", "--source", "cc", "--deliveries", "1", "--sizes"
    ).output.splitlines()
    assert only == f"{SECOND}  1 files  0.00 GB  never fits"


def test_a_request_makes_partitions_once(crawl, empty_home, phoenix_command) -> None:
    crawl.publish(7)
    words = ("crawl", "request", "CC-MAIN-2024-22", "--source", "cc", "--deliveries")
    assert phoenix_command(*words, "0:2").output.startswith("2 deliveries requested, 0 were already.")
    assert phoenix_command(*words, "1:").output.startswith("1 deliveries requested, 1 were already.")
    assert empty_home.instance.get_dynamic_partitions("cc_downloads") == [
        FIRST, SECOND, "CC-MAIN-2024-22-002",
    ]  # fmt: skip
    assert empty_home.instance.get_dynamic_partitions("cc_deliveries") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("CC-MAIN-2024-22", "--source", "book", "--deliveries", "0:1"), "'book' has no entry"),
        (("../../x", "--source", "cc", "--deliveries", "0:1"), "is not a snapshot"),
        (("CC-MAIN-2024-26", "--source", "cc", "--deliveries", "0:1"), "404"),
        (("CC-MAIN-2024-22", "--source", "cc", "--deliveries", "a:b"), "is not a range"),
        (("CC-MAIN-2024-22", "--source", "cc", "--deliveries", "-1"), "is not a range"),
    ],
)
def test_a_request_that_makes_no_sense_says_why(
    crawl, phoenix_command, words: tuple[str, ...], said: str
) -> None:
    crawl.publish(1)
    done = phoenix_command("crawl", "request", *words)
    assert done.exit_code != 0
    assert said in done.output


def test_only_sources_with_an_entry_are_downloaded() -> None:
    sources = load_sources()
    downloads = {f"{name}/downloaded": name for name in sources}
    declared = [
        asset.key.to_user_string()
        for name, source in sources.items()
        for asset in ingest_assets(name, source)
    ]
    assert [downloads[key] for key in declared if key in downloads] == ["cc"]


def test_a_faster_line_makes_no_download_stale(configured: Path) -> None:
    def version() -> str:
        asset = ingest_assets("cc", load_sources()["cc"])[0]
        return asset.code_versions_by_key[asset.key]

    before = version()
    values = yaml.safe_load((configured / "downloads.yaml").read_text())
    values["sources"]["cc"] |= {"connections": 1, "bytes_per_second": 1000}
    (configured / "downloads.yaml").write_text(yaml.safe_dump(values))
    assert version() == before
    values["sources"]["cc"]["files_per_delivery"] = 2
    (configured / "downloads.yaml").write_text(yaml.safe_dump(values))
    assert version() != before


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [("podcast", {}, "no source 'podcast'"), ("cc", {"format": "epub"}, "cc downloads epub, but accepts")],
)
def test_downloads_of_what_no_source_takes_are_a_configuration_error(
    configured: Path, name: str, changes: dict[str, str], said: str
) -> None:
    settings = yaml.safe_load((configured / "downloads.yaml").read_text())["sources"]["cc"] | changes
    (configured / "downloads.yaml").write_text(yaml.safe_dump({"sources": {name: settings}}), "utf-8")
    with pytest.raises(ConfigError, match=said):
        load_downloads()

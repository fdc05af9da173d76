"""The rebuild proof: made again from the delivered files, bit-identical or with the first difference named."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click.testing
import pytest
import yaml

from phoenix_assets.audit.documents import Subset
from phoenix_assets.audit.tombstones import tombstones_for
from phoenix_assets.clean import stages
from phoenix_assets.cli import main
from phoenix_assets.config import config_dir
from phoenix_assets.ingest.delivery import DeliveryManifest, Licence, Use, describe, write_manifest
from phoenix_assets.schema import StageOutput
from phoenix_assets.sources import load_sources
from resources.erasures import order

REPOSITORY = Path(__file__).resolve().parents[2]
PHOENIX = str(Path(sys.executable).parent / "phoenix")
DELIVERY = "faq-2024"
CHAIN = ["qa/raw", "qa/extracted", "qa/normalized"]
LID = "models/lid"  # by which normalisation tells languages
QUESTIONS = [
    {"question": "What is a delivery?", "answer": "A batch of files  with a manifest，as a vendor sends it."},
    {"question": "什么是清单？", "answer": "清单列出每个文件的大小和校验和。"},
]


@pytest.fixture(scope="module")
def delivered(home_at, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a delivery has become normalised documents."""
    path = tmp_path_factory.mktemp("rebuild") / "home"
    (path / "cache").mkdir(parents=True)
    downloads = Path(os.environ.get("PHOENIX_HOME", REPOSITORY / ".phoenix")) / "cache" / "models"
    downloads.mkdir(parents=True, exist_ok=True)
    (path / "cache" / "models").symlink_to(downloads.resolve())
    with pytest.MonkeyPatch.context() as environment:
        home = home_at(path).use(environment)
        home.make(LID)
        deliver(home, *QUESTIONS)
        home.close()
    return path


@pytest.fixture
def home(delivered: Path, home_at, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of that home, with a configuration of its own."""
    monkeypatch.setenv("PHOENIX_CONFIG", shutil.copytree(config_dir(), tmp_path / "config"))
    home = home_at(shutil.copytree(delivered, tmp_path / "home", symlinks=True)).use(monkeypatch)
    yield home
    home.close()
    load_sources.cache_clear()


def deliver(home, *records: dict[str, str]) -> None:
    folder = home.path / "landing" / "qa" / DELIVERY
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (folder / "part-0.jsonl").write_text("\n".join(lines), "utf-8")
    manifest = DeliveryManifest(
        source="qa", delivery=DELIVERY, vendor="a vendor",
        licence=Licence(id="CC-BY-4.0", expires=date(2030, 1, 1), allows=(Use.PRETRAINING,)),
        received=date(2024, 8, 1), format="qa_jsonl", files=(describe(folder, "part-0.jsonl"),),
    )  # fmt: skip
    write_manifest(folder, manifest)
    home.instance.add_dynamic_partitions("qa_deliveries", [DELIVERY])
    for asset in CHAIN:
        home.make(asset, DELIVERY)


def rebuild(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, ["rebuild", *arguments, "--partition", DELIVERY])


def stages_of(result: click.testing.Result) -> dict[str, bool]:
    found: dict[str, Any] = json.loads(result.stdout)
    return {stage["asset"]: stage["identical"] for stage in found["stages"]}


def leave_spaces(home) -> None:
    """Change one setting of normalisation, and plan with it."""
    path = config_dir() / "normalize.yaml"
    values = yaml.safe_load(path.read_text("utf-8"))
    values["default"]["collapse_spaces"] = False
    path.write_text(yaml.safe_dump(values), "utf-8")
    home.reload_definitions()


def test_a_version_is_made_again_bit_for_bit_and_leaves_nothing_behind(home) -> None:
    version = home.record("qa/normalized", DELIVERY).record.data_version
    result = rebuild("qa/normalized", "--version", version[:10], "--verify", "--json")
    assert (result.exit_code, stages_of(result)) == (0, dict.fromkeys([*CHAIN, LID], True))
    assert list((home.path / "scratch").iterdir()) == []
    assert home.record("qa/normalized", DELIVERY).storage_version == 1


def test_what_is_made_again_can_be_kept(home, home_at, tmp_path: Path) -> None:
    result = rebuild("qa/normalized", "--to", str(tmp_path / "again"))
    assert result.exit_code == 0, result.output
    kept = home_at(tmp_path / "again").record("qa/normalized", DELIVERY).record
    recorded = home.record("qa/normalized", DELIVERY).record
    assert (kept.data_version, kept.licences) == (recorded.data_version, recorded.licences)
    assert kept.record_id != recorded.record_id


def test_a_file_that_has_rotted_is_the_first_difference(home) -> None:
    file = home.path / "landing" / "qa" / DELIVERY / "part-0.jsonl"
    file.write_bytes(file.read_bytes().replace(b"vendor", b"vandal"))
    result = rebuild("qa/normalized", "--verify")
    assert result.exit_code == 1
    assert f"first difference: qa/raw[{DELIVERY}]" in result.output
    assert "qa/normalized" not in result.output


def test_a_kernel_that_changed_without_saying_so_is_found_by_document_and_column(
    home, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = stages.normalize_documents

    def changed(*arguments: Any, **settings: Any) -> StageOutput:
        output = kernel(*arguments, **settings)
        text = output.documents["text"].str.replace("清单", "目录")
        return StageOutput(
            output.documents.with_columns(text=text), output.ledger, output.quarantine, output.counts
        )

    monkeypatch.setattr(stages, "normalize_documents", changed)
    result = rebuild("qa/normalized", "--verify", "--json")
    found = json.loads(result.stdout)["first_difference"]
    documents = home.lake.read(home.record("qa/normalized", DELIVERY).as_input()).collect()
    [document] = documents.filter(documents["text"].str.contains("清单"))["doc_id"]
    assert (result.exit_code, found["stage"]) == (1, f"qa/normalized[{DELIVERY}]")
    assert (
        f"1 of 2 rows are not made again, 1 are new; the first is {document}; its text was"
        in found["difference"]
    )


def test_an_earlier_version_is_made_again_with_the_configuration_of_then(home) -> None:
    first = home.record("qa/normalized", DELIVERY).record
    leave_spaces(home)
    second = home.make("qa/normalized", DELIVERY).record
    assert first.data_version != second.data_version
    for record in (first, second):
        result = rebuild("qa/normalized", "--version", record.data_version, "--verify")
        assert (result.exit_code, "bit-identical" in result.output) == (0, True), result.output


def test_code_that_is_not_found_again_is_refused_with_both_versions(home) -> None:
    first = home.record("qa/normalized", DELIVERY).record
    leave_spaces(home)
    second = home.make("qa/normalized", DELIVERY).record
    shutil.rmtree(home.lake.root / "configurations")
    result = rebuild("qa/normalized", "--version", second.data_version, "--verify")
    assert result.exit_code == 1
    assert first.code_version in result.output
    assert second.code_version in result.output


def test_a_delivery_that_was_replaced_is_refused_unless_what_was_read_of_it_is_taken(home) -> None:
    first = home.record("qa/normalized", DELIVERY).record.data_version
    deliver(home, QUESTIONS[0])
    refused = rebuild("qa/normalized", "--version", first, "--verify")
    assert (refused.exit_code, "is not in" in refused.output) == (1, True)
    taken = rebuild("qa/normalized", "--version", first, "--verify", "--given", "qa/extracted", "--json")
    assert (taken.exit_code, stages_of(taken)) == (
        0,
        dict.fromkeys(["qa/extracted", LID, "qa/normalized"], True),
    )


def test_what_was_erased_since_is_not_brought_back_and_what_is_left_is_proved(home) -> None:
    before = home.record("qa/normalized", DELIVERY)
    [document, _] = home.lake.read(before.as_input()).select("doc_id").collect()["doc_id"]
    subset = Subset("qa", DELIVERY, (document,))
    rows = tombstones_for(
        home.lake, home.ledger, [subset], "e1", "asked", "a person", datetime(2026, 1, 1, tzinfo=UTC)
    )
    order(home.ledger, rows, "")
    for asset in CHAIN[1:]:
        home.make(asset, DELIVERY)
    refused = rebuild("qa/normalized", "--version", before.record.data_version, "--verify")
    assert (refused.exit_code, "erased after it was made" in refused.output) == (1, True)
    proved = rebuild("qa/normalized", "--verify", "--json")
    assert (proved.exit_code, stages_of(proved)) == (0, dict.fromkeys([*CHAIN, LID, "qa/erased"], True))


def test_a_version_that_there_is_not_is_refused_with_those_there_are(home) -> None:
    result = rebuild("qa/raw", "--version", "f00", "--verify")
    assert result.exit_code == 1
    assert home.record("qa/raw", DELIVERY).record.data_version in result.output


@pytest.mark.slow
def test_the_commit_that_made_a_version_is_taken_from_the_repository(tmp_path: Path, delivered: Path) -> None:
    checkout, environment = tmp_path / "checkout", {**os.environ, "PHOENIX_HOME": str(tmp_path / "home")}
    shutil.copytree(delivered, tmp_path / "home", symlinks=True)
    for name in ("phoenix_assets", "resources", "sensors", "training_jobs", "config"):
        shutil.copytree(REPOSITORY / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    environment |= {"PYTHONPATH": str(checkout), "PHOENIX_CONFIG": str(checkout / "config")}
    environment.pop("DAGSTER_HOME", None)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)

    def commit(subject: str) -> None:
        run("git", "add", ".")
        done = run("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", subject)
        assert done.returncode == 0, done.stderr

    def materialize() -> None:
        done = run(PHOENIX, "materialize", "qa/extracted", "--only")
        assert done.returncode == 0, done.stdout + done.stderr

    run("git", "init", "-q")
    commit("First")
    kernel = checkout / "phoenix_assets" / "ingest" / "extract.py"
    first = kernel.read_text("utf-8")
    raised = re.sub(r'(KERNEL_VERSION: Final = "\d+)"', r'\1-next"', first)
    assert raised != first
    kernel.write_text(raised, "utf-8")
    commit("Read otherwise")
    materialize()
    kernel.write_text(first, "utf-8")
    commit("Read as before")
    again = (PHOENIX, "rebuild", "qa/extracted", "--partition", DELIVERY, "--verify")
    done = run(*again)
    assert (done.returncode, "bit-identical" in done.stdout) == (0, True), done.stdout + done.stderr
    shutil.rmtree(checkout / ".git")
    assert "has no commit" in run(*again).stderr

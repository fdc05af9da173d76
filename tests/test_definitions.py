"""The code location: it loads light, it is valid, and a source is a YAML file."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
HEAVY = (
    "torch",
    "numba",
    "matplotlib",
    "transformers",
    "tokenizers",
    "nemo",
    "lightning",
    "fasttext",
    "kenlm",
)
PRINTS = {"signatures", "paragraphs", "sentences"}


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def asset_keys(config: Path) -> list[str]:
    program = (
        "import json; from phoenix_assets.definitions import defs; "
        "graph = defs.resolve_asset_graph(); "
        "print(json.dumps([key.to_user_string() for key in graph.executable_asset_keys]))"
    )
    return json.loads(run(sys.executable, "-c", program, PHOENIX_CONFIG=str(config)))


def test_loading_the_definitions_imports_no_heavy_library() -> None:
    program = f"import sys, phoenix_assets.definitions; print([m for m in {HEAVY} if m in sys.modules])"
    assert run(sys.executable, "-c", program).strip() == "[]"


@pytest.mark.parametrize(
    "command", [("dagster", "definitions", "validate", "-w", "workspace.yaml"), ("dg", "check", "defs")]
)
def test_the_code_location_is_valid(command: tuple[str, ...], tmp_path: Path) -> None:
    program = Path(sys.executable).parent / command[0]
    run(str(program), *command[1:], DAGSTER_HOME=str(tmp_path))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPOSITORY / "config", tmp_path / "config"))


def test_a_new_source_is_a_yaml_file_and_nothing_else(config: Path, stages: tuple[str, ...]) -> None:
    before = set(asset_keys(config))
    (config / "sources" / "forum.yaml").write_text(
        "description: Forum threads.\nkind: forum\nformats: [jsonl]\nfilter_profile: qa\n", "utf-8"
    )
    assert set(asset_keys(config)) - before == {f"forum/{stage}" for stage in stages}


def test_a_wrong_value_is_reported_with_its_file_and_key(config: Path) -> None:
    (config / "sources" / "forum.yaml").write_text("description: Forum threads.\nkind: forum\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "import phoenix_assets.definitions"],
        cwd=REPOSITORY,
        env=os.environ | {"PHOENIX_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "ConfigError" in done.stderr and "forum.yaml" in done.stderr and "formats" in done.stderr


def test_every_stage_that_can_drop_documents_declares_a_blocking_conservation_check(
    stages: tuple[str, ...],
) -> None:
    from phoenix_assets.definitions import defs
    from resources.declare import CONSERVATION

    checks = {
        spec.asset_key.to_user_string(): spec.blocking
        for asset in defs.assets or []
        for spec in asset.check_specs
        if spec.name == CONSERVATION
    }
    sources = {path.stem for path in (REPOSITORY / "config" / "sources").glob("*.yaml")}
    conserving = {f"{source}/{stage}" for source in sources for stage in stages if stage not in PRINTS}
    assert conserving <= set(checks)
    assert any(asset.startswith("mix/") for asset in checks)
    assert all(checks.values())


def test_only_raw_data_training_and_its_order_wait_for_somebody_to_ask() -> None:
    from phoenix_assets.definitions import defs
    from resources.declare import AUTOMATION_TAG, Automation

    on_request = {
        spec.key.to_user_string()
        for asset in defs.assets or []
        for spec in asset.specs
        if spec.tags[AUTOMATION_TAG] == Automation.ON_REQUEST
    }
    assert on_request
    assert {
        key
        for key in on_request
        if not (key.startswith(("train/", "order/")) or key.endswith(("/raw", "/downloaded")))
    } == set()


def test_code_versions_are_the_same_in_every_process() -> None:
    show = (
        "from phoenix_assets.definitions import defs\n"
        "print(sorted((s.key.to_user_string(), s.code_version) for a in defs.assets for s in a.specs))"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", show],
            cwd=REPOSITORY, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(shown) == 1

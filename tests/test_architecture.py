"""The wall between declaring and computing, and the direction of imports between rooms, read off the sources."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import resources
import sensors

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("phoenix_assets", "resources", "sensors", "training_jobs")
SOURCES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))
ROOMS = ("ingest", "clean", "dedup", "tag", "mix", "tokens", "order", "train", "search", "evaluate", "audit")

# What one room may know of another: what the other one hands on, never how it makes it.
KNOWN_OF_OTHERS = {
    # An evaluation belongs to an experiment and reads the held-out split of the experiment's mixture.
    ("evaluate", "phoenix_assets.mix.config"),
    ("evaluate", "phoenix_assets.train.config"),
    # An order is of a mixture's tokens by some tokenizer, and documents are alike by their tokens.
    ("order", "phoenix_assets.tokens.config"),
    ("order", "phoenix_assets.tokens.indexed"),
    # An experiment and a search name a tokenizer.
    ("train", "phoenix_assets.tokens.config"),
    ("search", "phoenix_assets.tokens.config"),
    # An experiment states the order of its data; what a run saw is read from the trace index beside the tokens.
    ("train", "phoenix_assets.order.config"),
    ("audit", "phoenix_assets.tokens.trace"),
    # An erased text is known again by hashes that tombstones keep, of the letters by which dedup compares.
    ("audit", "phoenix_assets.ingest.erasure"),
    ("audit", "phoenix_assets.dedup.shingles"),
    # A search starts from a mixture, and its proxies are training runs.
    ("search", "phoenix_assets.mix.config"),
    ("search", "phoenix_assets.train.config"),
    # An audit follows copies through the granularities in the order in which they decide.
    ("audit", "phoenix_assets.dedup.config"),
    ("audit", "phoenix_assets.dedup.passages.config"),
}


def modules_imported(path: Path) -> Iterator[str]:
    """Yield every module a file imports, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (
                f"{node.module}.{name.name}" for name in node.names if node.module == "phoenix_assets"
            )


def top_levels(path: Path) -> set[str]:
    return {module.partition(".")[0] for module in modules_imported(path)}


def place(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def room_of(path: Path) -> str | None:
    parts = path.relative_to(REPOSITORY).parts
    return parts[1] if parts[0] == "phoenix_assets" and len(parts) > 2 else None


def declares_and_wires(path: Path) -> bool:
    """Tell whether a file is on Dagster's side of the wall."""
    parts = path.relative_to(REPOSITORY).parts
    return parts[0] in {"sensors", "resources"} or path.name in {"assets.py", "checks.py", "definitions.py"}


def test_only_assets_checks_sensors_resources_and_definitions_import_dagster() -> None:
    across = [
        place(path)
        for path in SOURCES
        if not declares_and_wires(path) and {"dagster", "dagster_shared"} & top_levels(path)
    ]
    assert across == []


def test_kernels_do_not_reach_into_the_lake() -> None:
    reaching = [
        place(path)
        for path in SOURCES
        if room_of(path) not in {None, "audit", "cli"}
        and not declares_and_wires(path)
        and {"resources", "sensors"} & top_levels(path)
    ]
    assert reaching == []


def test_jobs_that_outlive_dagster_import_nothing_of_it_and_only_the_base_of_the_project() -> None:
    for path in (REPOSITORY / "training_jobs").glob("*.py"):
        imported = set(modules_imported(path))
        assert not {"dagster", "resources", "sensors"} & top_levels(path), place(path)
        of_the_project = {module for module in imported if module.startswith("phoenix_assets")}
        allowed = {"phoenix_assets.config", "phoenix_assets.errors"}
        assert of_the_project <= allowed, place(path)


def test_no_room_imports_from_a_later_one() -> None:
    backwards = [
        f"{place(path)} imports {module}"
        for path in SOURCES
        if (room := room_of(path)) in ROOMS
        for module in modules_imported(path)
        if (other := _room_of_module(module)) and ROOMS.index(other) > ROOMS.index(room)
    ]
    assert backwards == []


def test_a_room_knows_of_earlier_rooms_only_what_is_listed_here() -> None:
    known = {
        (room, module)
        for path in SOURCES
        if (room := room_of(path)) in ROOMS
        for module in modules_imported(path)
        if (other := _room_of_module(module)) and other != room
    }
    assert known == KNOWN_OF_OTHERS


def _room_of_module(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "phoenix_assets" and len(parts) > 1 and parts[1] in ROOMS else None


def test_what_rooms_share_imports_no_room() -> None:
    wiring = {"definitions.py"}
    shared = [path for path in (REPOSITORY / "phoenix_assets").glob("*.py") if path.name not in wiring]
    for path in shared:
        assert not [module for module in modules_imported(path) if _room_of_module(module)], place(path)


@pytest.mark.parametrize("package", [resources, sensors])
def test_packages_with_common_names_are_this_projects(package: object) -> None:
    assert Path(package.__file__).resolve().is_relative_to(REPOSITORY)


def test_every_room_has_its_assets_and_every_file_its_docstring() -> None:
    for room in ROOMS[:-1]:
        assert (REPOSITORY / "phoenix_assets" / room / "assets.py").is_file()
    silent = [place(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert silent == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    absolute = re.compile(r"(?<![\w.~$}/-])/(?:work|root|home|Users|mnt|scratch)/[\w.-]+")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = []
    for name in filter(None, listed.split("\0")):
        path = REPOSITORY / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match.group()}" for match in absolute.finditer(text)]
    assert found == []

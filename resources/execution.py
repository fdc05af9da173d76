"""Where the code and the configuration of a record are found again: a git commit, and files that the lake keeps.

The YAML files that are in force are copied once into `lake/configurations/<digest>/`, so that whatever was made with
them can be made again after they have changed, with no checkout at hand.
"""

import functools
import hashlib
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Final

from phoenix_assets.config import config_dir
from phoenix_assets.lineage import Execution
from resources.lake import Lake

CODE: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("phoenix_assets", "resources", "sensors", "training_jobs")


def recorded_execution(lake: Lake) -> Execution:
    """Return where this process's code and configuration will be found, and keep the configuration in the lake."""
    commit, changed = code_commit()
    return Execution(commit=commit, changed=changed, configuration=keep_configuration(lake, config_dir()))


@functools.cache
def code_commit() -> tuple[str, bool]:
    """Return the commit of the checkout that this code is in, "" for none; and whether its files differ from it."""
    if not (CODE / ".git").exists():
        return "", False
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--", *_PACKAGES)
    return commit.strip(), bool(changes)


def read_configuration() -> None:
    """Read the configuration's files, as its values are read: what is written into them later is of no effect."""
    _files.cache_clear()
    _files(config_dir())


def keep_configuration(lake: Lake, folder: Path) -> str:
    """Copy the YAML files of `folder`, as they were when first read, into the lake; return their digest."""
    found = _digest(folder)
    kept = kept_configuration(lake, found)
    if not kept.is_dir():
        _write_once(kept, _files(folder))
    return found


@functools.cache
def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.yaml"))}


def _digest(folder: Path) -> str:
    hashed = hashlib.sha256()
    for name, content in _files(folder).items():
        hashed.update(f"{name}\0{len(content)}\0".encode() + content)
    return hashed.hexdigest()[:16]


def kept_configuration(lake: Lake, digest: str) -> Path:
    """Return the folder in which the lake keeps the configuration with this digest, or would."""
    return lake.root / "configurations" / digest


def _write_once(folder: Path, files: dict[str, bytes]) -> None:
    written = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    for name, content in files.items():
        (written / name).parent.mkdir(parents=True, exist_ok=True)
        (written / name).write_bytes(content)
    try:
        written.rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(written)


def _git(*arguments: str) -> str:
    """Return what git says of this checkout, "" when it says nothing."""
    try:
        done = subprocess.run(["git", "-C", str(CODE), *arguments], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""

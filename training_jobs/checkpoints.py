"""Whole checkpoints: a folder `checkpoints/step-000050` whose `manifest.json` was written last.

A checkpoint counts only when its manifest is there and every file has the size and the SHA-256 that the
manifest names. A trainer that dies while it writes leaves a folder without a manifest: nobody loads it, and
the next attempt at the same step replaces it. Each manifest names its parent's digest, so a run is a chain.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Final

from pydantic import Field

from phoenix_assets.config import Config
from training_jobs.atomic_file import sync_folder, write_atomically
from training_jobs.errors import CheckpointError

CHECKPOINTS: Final = "checkpoints"
MANIFEST: Final = "manifest.json"
FORMAT: Final = 1


class CheckpointFile(Config):
    """One file of a checkpoint."""

    name: str = Field(pattern=r"^[^/\\]+$")
    bytes: int
    sha256: str


class CheckpointManifest(Config):
    """What a checkpoint is: its place in the run, its losses, and the identity of its files."""

    format: int = FORMAT
    job_key: str
    experiment: str
    fingerprint: str
    step: int
    tokens: int  # trained on so far, repeats and what the run started from included
    order: str  # fingerprint of the data-order plan
    sequences: int  # position in that plan
    parent: str | None  # digest of the manifest that this one continues
    train_loss: float
    validation_loss: float | None
    files: tuple[CheckpointFile, ...]
    directory: Path = Field(exclude=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest's content: identifies weights, optimizer state and position together."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def checkpoint_name(step: int) -> str:
    """Return a checkpoint's name in its run, which is its partition of the run's checkpoints too: `step-000050`."""
    return f"step-{step:06d}"


def checkpoint_dir(run_dir: Path, step: int) -> Path:
    """Return the folder of the checkpoint of `step`."""
    return run_dir / CHECKPOINTS / checkpoint_name(step)


def describe_files(directory: Path) -> tuple[CheckpointFile, ...]:
    """Return name, size and hash of every file of a checkpoint folder but its manifest, by name."""
    paths = sorted(
        path for path in directory.iterdir() if path.name != MANIFEST and not path.name.startswith(".")
    )
    return tuple(CheckpointFile(name=p.name, bytes=p.stat().st_size, sha256=_sha256(p)) for p in paths)


def seal(manifest: CheckpointManifest) -> None:
    """Write the manifest into its folder, last and atomically: from here on the checkpoint is whole."""
    sync_folder(manifest.directory)
    write_atomically(manifest.directory / MANIFEST, manifest.model_dump_json(indent=2))
    sync_folder(manifest.directory.parent)


def read_manifest(directory: Path) -> CheckpointManifest:
    """Read the manifest of a checkpoint folder. Raises CheckpointError when it cannot be read."""
    try:
        content = json.loads((directory / MANIFEST).read_bytes())
        return CheckpointManifest.model_validate({**content, "directory": directory})
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{directory}: not a whole checkpoint: {error}") from error


def verify(manifest: CheckpointManifest, *, hashes: bool = True) -> None:
    """Check every file of a checkpoint against its manifest; `hashes=False` compares names and sizes only.

    Raises CheckpointError naming the first file that is missing or differs.
    """
    for file in manifest.files:
        path = manifest.directory / file.name
        size = path.stat().st_size if path.is_file() else None
        if size != file.bytes:
            raise CheckpointError(
                f"{path}: {size} bytes, the manifest says {file.bytes}: delete this checkpoint"
            )
        if hashes and _sha256(path) != file.sha256:
            raise CheckpointError(
                f"{path}: content differs from the manifest's SHA-256: delete this checkpoint"
            )


def list_checkpoints(run_dir: Path, *, hashes: bool = True) -> list[CheckpointManifest]:
    """Return the whole checkpoints of a run, ascending by step; others are passed over in silence."""
    found = (_whole(path, hashes=hashes) for path in sorted((run_dir / CHECKPOINTS).glob("step-*")))
    return sorted(
        (manifest for manifest in found if manifest is not None), key=lambda manifest: manifest.step
    )


def last_checkpoint(run_dir: Path) -> CheckpointManifest | None:
    """Return the newest whole checkpoint of a run, hashing no more files than it takes to find it."""
    for manifest in reversed(list_checkpoints(run_dir, hashes=False)):
        if _whole(manifest.directory, hashes=True) is not None:
            return manifest
    return None


def keep_newest(run_dir: Path, keep: int) -> None:
    """Delete all but the newest `keep` whole checkpoints, each one's manifest first."""
    for manifest in list_checkpoints(run_dir, hashes=False)[:-keep]:
        (manifest.directory / MANIFEST).unlink()
        shutil.rmtree(manifest.directory)


def _whole(directory: Path, *, hashes: bool) -> CheckpointManifest | None:
    try:
        manifest = read_manifest(directory)
        verify(manifest, hashes=hashes)
    except CheckpointError:
        return None
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

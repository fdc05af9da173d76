from pathlib import Path

import pytest

from training_jobs.checkpoints import (
    CheckpointManifest,
    checkpoint_dir,
    describe_files,
    keep_newest,
    last_checkpoint,
    list_checkpoints,
    read_manifest,
    seal,
    verify,
)
from training_jobs.errors import CheckpointError


def write_checkpoint(run_dir: Path, step: int) -> CheckpointManifest:
    directory = checkpoint_dir(run_dir, step)
    directory.mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(bytes([step]) * 100)
    manifest = CheckpointManifest(
        job_key="tiny-0",
        experiment="tiny",
        fingerprint="0",
        step=step,
        tokens=step * 128,
        order="0",
        sequences=step * 8,
        parent=None,
        train_loss=2.0,
        validation_loss=None,
        files=describe_files(directory),
        directory=directory,
    )
    seal(manifest)
    return manifest


def test_whole_checkpoints_are_listed_by_step(tmp_path: Path) -> None:
    written = [write_checkpoint(tmp_path, step) for step in (8, 4)]
    assert list_checkpoints(tmp_path) == written[::-1]
    assert last_checkpoint(tmp_path) == written[0]


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path) == []
    assert last_checkpoint(tmp_path) is None


def test_a_checkpoint_without_a_manifest_is_ignored(tmp_path: Path) -> None:
    whole = write_checkpoint(tmp_path, 4)
    (write_checkpoint(tmp_path, 8).directory / "manifest.json").unlink()
    assert list_checkpoints(tmp_path) == [whole]


@pytest.mark.parametrize("content", [b"\x08" * 99, b"\x09" * 100], ids=["short", "altered"])
def test_a_checkpoint_with_a_damaged_file_is_ignored(tmp_path: Path, content: bytes) -> None:
    whole, damaged = write_checkpoint(tmp_path, 4), write_checkpoint(tmp_path, 8)
    (damaged.directory / "model.safetensors").write_bytes(content)
    assert last_checkpoint(tmp_path) == whole
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        verify(damaged)


def test_a_half_written_manifest_is_not_a_checkpoint(tmp_path: Path) -> None:
    manifest = write_checkpoint(tmp_path, 4).directory / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:40])
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        read_manifest(manifest.parent)


def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    manifest = write_checkpoint(tmp_path, 4).directory / "manifest.json"
    manifest.write_text(manifest.read_text().replace("model.safetensors", "../../secret"))
    assert list_checkpoints(tmp_path) == []


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    written = [write_checkpoint(tmp_path, step) for step in (4, 8, 12)]
    keep_newest(tmp_path, 2)
    assert list_checkpoints(tmp_path) == written[1:]
    assert not written[0].directory.exists()


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    one, other = write_checkpoint(tmp_path, 4), write_checkpoint(tmp_path, 8)
    assert one.digest == read_manifest(one.directory).digest != other.digest

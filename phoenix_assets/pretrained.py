"""Models that somebody else trained: copied or downloaded, and taken only if they are what the configuration says."""

import hashlib
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import Field

from phoenix_assets.config import Config, config_dir
from phoenix_assets.errors import ConfigError, PhoenixError

KERNEL_VERSION: Final = "1"

TIMEOUT_SECONDS: Final = 60  # without a byte


class PretrainedModel(Config):
    """A model that somebody else trained: where it is, and how it is recognised."""

    location: str = Field(description="path of a file, relative to the configuration folder, or https URL")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    licence: str


def fetch_pretrained(model: PretrainedModel, out: Path) -> Path:
    """Put the model at `out` in one step; a relative path counts from the configuration folder.

    Raises ConfigError for a location that is neither a file nor an https URL, PhoenixError when a download fails or
    the SHA-256 is not the configured one.
    """
    part = out.with_name(f"{out.name}.part")
    try:
        if model.location.startswith("https://"):
            _download(model.location, part)
        else:
            _copy(model.location, part)
        _require_digest(model, file_digest(part))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return out


def fetch_pretrained_folder(model: PretrainedModel, names: Iterable[str], out: Path) -> list[Path]:
    """Copy those files called `names` that the model's folder has into `out`; return their new paths.

    Raises ConfigError when it has none of them, PhoenixError when the SHA-256 is not the configured one.
    """
    folder = config_dir() / model.location
    found = [folder / name for name in sorted(names) if (folder / name).is_file()]
    if not found:
        raise ConfigError(f"{folder}: has none of {', '.join(sorted(names))}; correct the model's location")
    _require_digest(model, files_digest(found))
    return [Path(shutil.copyfile(path, out / path.name)) for path in found]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_digest(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of what `sha256sum NAME…` prints about files of one folder, in the order of their names."""
    listed = "".join(
        f"{file_digest(path)}  {path.name}\n" for path in sorted(paths, key=lambda path: path.name)
    )
    return hashlib.sha256(listed.encode()).hexdigest()


def _require_digest(model: PretrainedModel, found: str) -> None:
    if found != model.sha256:
        raise PhoenixError(
            f"{model.location}: SHA-256 is {found}, expected {model.sha256}; if the model was changed on purpose, "
            "record the new value beside its location"
        )


def _copy(location: str, part: Path) -> None:
    path = config_dir() / location
    if "://" in location or not path.is_file():
        raise ConfigError(
            f"{location}: no such file ({path}), and no https URL; correct the model's location"
        )
    shutil.copyfile(path, part)


def _download(url: str, part: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, part.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, TimeoutError) as error:
        raise PhoenixError(f"{url}: the model cannot be downloaded: {error}") from error

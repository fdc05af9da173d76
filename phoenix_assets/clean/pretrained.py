"""Models that somebody else trained: copied or downloaded, and taken only if they are what the configuration says."""

import hashlib
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from phoenix_assets.clean.config import PretrainedModel
from phoenix_assets.config import config_dir
from phoenix_assets.errors import ConfigError, PhoenixError

KERNEL_VERSION: Final = "1"

TIMEOUT_SECONDS: Final = 60  # without a byte


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
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != model.sha256:
            raise PhoenixError(
                f"{model.location}: SHA-256 is {found}, expected {model.sha256}; if the model was changed on purpose, "
                "record the new value beside its location"
            )
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return out


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

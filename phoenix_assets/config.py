"""Configuration is data: YAML files under `config/`, each checked by the Pydantic model of its room.

`load` reads one file, `load_folder` a folder of them (file name = name of the thing). `digest` is what goes into
an asset's `code_version`: it changes when, and only when, a value that the asset uses changes.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from phoenix_assets.errors import ConfigError


class Config(BaseModel):
    """Base of every configuration model: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ConfigT = TypeVar("ConfigT", bound=Config)


def config_dir() -> Path:
    """Return the configuration folder: `$PHOENIX_CONFIG`, or `config/` beside the packages."""
    return Path(os.environ.get("PHOENIX_CONFIG", Path(__file__).resolve().parents[1] / "config"))


def load(model: type[ConfigT], path: Path) -> ConfigT:
    """Read the YAML file at `path` into `model`. Raises ConfigError naming the file, the key and the value."""
    try:
        values = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)  # many files, at every start
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; create it or correct the name that refers to it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    try:
        return model.model_validate(values if values is not None else {})
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(str(part) for part in problem['loc']) or '(file)'} = {problem['input']!r}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigError(f"{path}: {error.error_count()} wrong value(s)\n{problems}") from error


def load_folder(model: type[ConfigT], folder: Path) -> dict[str, ConfigT]:
    """Read every `*.yaml` file of `folder` into `model`, keyed by file stem, in name order."""
    return {path.stem: load(model, path) for path in sorted(folder.glob("*.yaml"))}


def digest(*parts: BaseModel | Mapping[str, Any] | Sequence[Any] | str | int | float | bool | None) -> str:
    """Return 16 hex digits that identify configuration values, independent of key order and file layout."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

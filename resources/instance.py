"""The Dagster instance of a `$PHOENIX_HOME`: its folder and its settings."""

import os
import shutil
from pathlib import Path

from dagster import DagsterInstance

from phoenix_assets.config import config_dir


def prepare_instance(home: Path) -> Path:
    """Make the instance's folder if it is missing, with `config/instance.yaml`; return it ($DAGSTER_HOME)."""
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        shutil.copyfile(config_dir() / "instance.yaml", settings)
    return folder


def open_instance(home: Path) -> DagsterInstance:
    """Return the Dagster instance of $DAGSTER_HOME, by default the one of `home`, which is made if it is missing."""
    os.environ.setdefault("DAGSTER_HOME", str(prepare_instance(home)))
    return DagsterInstance.get()

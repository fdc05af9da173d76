"""The Dagster instance of a `$PHOENIX_HOME`: its folder and its settings."""

import shutil
from pathlib import Path

_SETTINGS = Path(__file__).resolve().parents[1] / "dagster.yaml"


def prepare_instance(home: Path) -> Path:
    """Make the instance's folder if it is missing, with the project's `dagster.yaml`; return it ($DAGSTER_HOME)."""
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        shutil.copyfile(_SETTINGS, settings)
    return folder

"""Where an installed package keeps its data files, found without importing the package."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from phoenix_assets.errors import ConfigError

KERNEL_VERSION: Final = "1"


def package_folder(name: str) -> Path:
    """Return the folder of the package `name`. Raises ConfigError if it is not installed."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the package {name!r}, which carries word lists, is not installed; run `make`")
    return Path(spec.submodule_search_locations[0])

"""Code versions: which kernels an asset runs, and with which configuration.

A kernel module states its own `KERNEL_VERSION`; it is raised by hand when the module's output changes, so a comment or
a faster loop makes nothing stale. It is read from the source text, because importing every kernel (numba, fastText,
PDF libraries) would make the definitions slow to load.
"""

import functools
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phoenix_assets.config import digest
from phoenix_assets.errors import ConfigError

_STATEMENT = re.compile(r'^KERNEL_VERSION(?:\s*:[^=]+)?\s*=\s*"([^"]+)"', re.MULTILINE)


@functools.cache
def kernel_version(module: str) -> str:
    """Return the `KERNEL_VERSION` of a module without importing it. Raises ConfigError when it states none."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ConfigError(f"{module}: no such module")
    found = _STATEMENT.search(Path(spec.origin).read_text("utf-8"))
    if found is None:
        raise ConfigError(f"{module}: states no KERNEL_VERSION; add one to the module")
    return found.group(1)


def code_version(modules: tuple[str, ...], config: Mapping[str, Any]) -> str:
    """Return e.g. `funnel.1-repetition.2+cfg=0123456789abcdef` for kernel modules and the configuration they use."""
    kernels = "-".join(f"{module.rpartition('.')[2]}.{kernel_version(module)}" for module in modules)
    return f"{kernels}+cfg={digest(config)}"

"""Sources: each kind of data has one file, `config/sources/<name>.yaml`, and one chain of assets.

Adding a source with an existing reader is such a file and nothing else.
"""

import functools
import re

from pydantic import Field

from phoenix_assets.config import Config, config_dir, load_folder
from phoenix_assets.errors import ConfigError
from phoenix_assets.fields import AS_NAMED, FieldMap

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Source(Config):
    """One kind of data: how it is read, cleaned and deduplicated."""

    description: str
    kind: str  # crawl, encyclopedia, book, code, …: the tag by which mixtures select
    formats: tuple[str, ...] = Field(min_length=1)  # delivery formats that are accepted
    filter_profile: str = "default"
    fields: FieldMap = AS_NAMED  # of deliveries whose manifest says nothing of its fields


@functools.cache
def load_sources() -> dict[str, Source]:
    """Return every source by name. Raises ConfigError for a bad file or name."""
    folder = config_dir() / "sources"
    sources = load_folder(Source, folder)
    if not sources:
        raise ConfigError(f"{folder}: no sources; add a YAML file for each kind of data")
    for name in sources:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{folder / name}.yaml: a source's name is lower-case letters, digits and _")
    return sources

"""Settings of downloads: where a source's files are, how they are cut into deliveries, how politely they are fetched."""

import ipaddress
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.errors import ConfigError
from phoenix_assets.ingest.delivery import Licence
from phoenix_assets.sources import load_sources

_SNAPSHOT: Final = "{snapshot}"


def _template(path: str) -> str:
    if _SNAPSHOT not in path or path.startswith("/"):
        raise ValueError(f"use a path relative to base_url that holds {_SNAPSHOT}")
    return path


class Timeouts(Config):
    """How long one attempt may wait, and how long it may take."""

    connect_seconds: float = Field(gt=0)
    read_seconds: float = Field(gt=0)
    attempt_seconds: float = Field(gt=0)


class Retries(Config):
    """How often one file is tried, and how long is waited in between."""

    attempts: int = Field(ge=1)
    first_delay_seconds: float = Field(ge=0)
    max_delay_seconds: float = Field(ge=0)
    jitter: float = Field(ge=0, le=1)
    max_retry_after_seconds: float = Field(ge=0)
    seed: int = Field(ge=0)


class DownloadLimits(Config):
    """What a listing and a file may not exceed; both are untrusted."""

    max_listing_bytes: int = Field(gt=0)
    max_files: int = Field(gt=0)
    max_path_characters: int = Field(gt=0, le=1000)
    max_expansion: float = Field(gt=1)


class CrawlSource(Config):
    """One source's entry in `config/downloads.yaml`."""

    base_url: str
    plain_http_hosts: tuple[str, ...] = ()
    redirect_hosts: tuple[str, ...] = ()  # `host`, or `host:port`
    user_agent: str = Field(min_length=1)
    listing: Annotated[str, AfterValidator(_template)]
    checksums: Annotated[str, AfterValidator(_template)] | None = None
    files_per_delivery: int = Field(ge=1)
    format: str
    vendor: str = Field(min_length=1, max_length=200)
    licence: Licence
    connections: int = Field(ge=1, le=64)
    bytes_per_second: float | None = Field(default=None, gt=0)
    progress_seconds: float = Field(gt=0)
    timeouts: Timeouts
    retries: Retries
    limits: DownloadLimits

    @model_validator(mode="after")
    def _base_url_is_safe(self) -> Self:
        parts = urlsplit(self.base_url)
        if parts.query or parts.fragment or parts.username or not parts.path.endswith("/"):
            raise ValueError(f"base_url {self.base_url}: no query or user, and a '/' at the end")
        if not self.may_be_asked(parts.scheme, parts.hostname or ""):
            raise ValueError(f"base_url {self.base_url}: use https, or name the host in plain_http_hosts")
        return self

    def may_be_asked(self, scheme: str, host: str) -> bool:
        """Return whether a host may be asked by this scheme: https always, http on loopback or where configured."""
        if scheme == "https":
            return host != ""
        return scheme == "http" and (host in self.plain_http_hosts or _is_loopback(host))

    def listing_path(self, snapshot: str) -> str:
        """Return the path of a snapshot's listing, relative to `base_url`."""
        return self.listing.replace(_SNAPSHOT, snapshot)

    def checksums_path(self, snapshot: str) -> str | None:
        """Return the path of the file with a snapshot's checksums, if there is one."""
        return self.checksums.replace(_SNAPSHOT, snapshot) if self.checksums else None


class Downloads(Config):
    """`config/downloads.yaml`."""

    sources: dict[str, CrawlSource]


def load_downloads() -> dict[str, CrawlSource]:
    """Return the download settings of every source that has some.

    Raises ConfigError for an unknown source, or one that does not accept the format of its downloads.
    """
    path = config_dir() / "downloads.yaml"
    found = load(Downloads, path).sources
    sources = load_sources()
    for name, settings in found.items():
        if name not in sources:
            raise ConfigError(
                f"{path}: no source {name!r}; add config/sources/{name}.yaml or correct the name"
            )
        if settings.format not in sources[name].formats:
            raise ConfigError(
                f"{path}: {name} downloads {settings.format}, but accepts {sources[name].formats}"
            )
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""What has landed: find deliveries below the landing folder and say of each what is to be done with it.

A delivery is `landing/<source>/<delivery>/delivery.yaml` beside its files. It is *ready* when its manifest is complete
and every file has the promised size; checksums are verified when it is taken. A folder whose files are still arriving
*waits*; one that nobody touched for a while and that is still incomplete, or whose manifest is wrong, is *rejected*.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from pydantic import Field

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.ingest.delivery import (
    DeliveryManifest,
    DeliveryRejected,
    check_holds_data,
    check_known,
    read_manifest,
)
from phoenix_assets.schema import RejectReason
from phoenix_assets.sources import Source


class LandingConfig(Config):
    """`config/landing.yaml`."""

    settle_seconds: float = Field(ge=0)
    interval_seconds: int = Field(ge=1)
    deliveries_per_tick: int = Field(ge=1)
    runs_per_tick: int = Field(ge=1)
    automation_interval_seconds: int = Field(ge=1)


def load_landing() -> LandingConfig:
    """Return `config/landing.yaml`."""
    return load(LandingConfig, config_dir() / "landing.yaml")


class Standing(StrEnum):
    """What is to be done with a delivery."""

    READY = "ready"
    WAITS = "waits"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Arrival:
    """One delivery folder, as found."""

    source: str
    delivery: str
    fingerprint: str  # changes when any file of the folder is written again, also with the same bytes
    standing: Standing
    reason: RejectReason | None = None
    detail: str = ""


def scan(
    landing: Path, sources: Mapping[str, Source], *, settle_seconds: float, known: Collection[str] = ()
) -> Iterator[Arrival]:
    """Yield an Arrival for every delivery folder whose fingerprint is not in `known`, in name order."""
    for folder in delivery_folders(landing):
        fingerprint = _fingerprint(folder)
        if fingerprint not in known:
            yield _inspect(folder, fingerprint, sources, settle_seconds)


def delivery_folders(landing: Path) -> list[Path]:
    """Return every folder two levels below `landing`, in name order; hidden ones are still being built."""
    if not landing.is_dir():
        return []
    return sorted(
        folder
        for source in landing.iterdir()
        if source.is_dir() and not source.name.startswith(".")
        for folder in source.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
    )


def _inspect(folder: Path, fingerprint: str, sources: Mapping[str, Source], settle_seconds: float) -> Arrival:
    source, delivery = folder.parent.name, folder.name
    waits = time.time() - _last_touched(folder) < settle_seconds
    try:
        manifest = read_manifest(folder)
        accepted = sources[manifest.source].formats if manifest.source in sources else ()
        check_known(manifest, sources, accepted)
        check_holds_data(manifest)
        missing = _missing_file(folder, manifest)
    except DeliveryRejected as problem:
        waits = waits and problem.reason is RejectReason.MISSING_FILE
        standing = Standing.WAITS if waits else Standing.REJECTED
        return Arrival(source, delivery, fingerprint, standing, problem.reason, str(problem))
    if missing and waits:
        return Arrival(source, delivery, fingerprint, Standing.WAITS, RejectReason.MISSING_FILE, missing)
    # A delivery that lacks some files is taken for the files that it has; the others go to quarantine.
    return Arrival(source, delivery, fingerprint, Standing.READY)


def _missing_file(folder: Path, manifest: DeliveryManifest) -> str:
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file() or path.stat().st_size < file.bytes:
            return f"{file.path}: not complete yet"
    return ""


def _fingerprint(folder: Path) -> str:
    hasher = sha256(f"{folder.parent.name}/{folder.name}".encode("utf-8", "surrogateescape"))
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        hasher.update(
            f"{path.relative_to(folder)}|{stat.st_size}|{stat.st_mtime_ns}".encode(errors="replace")
        )
    return hasher.hexdigest()[:24]


def _last_touched(folder: Path) -> float:
    return max((path.lstat().st_mtime for path in [folder, *folder.rglob("*")]), default=0.0)

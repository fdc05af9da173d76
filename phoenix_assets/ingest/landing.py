"""What has landed: say of a delivery folder what is to be done with it.

A delivery is `<source>/<delivery>/delivery.yaml` beside its files, in one of the places that are watched. It is *ready*
when its manifest is complete and every file has the promised size; checksums are verified when it is taken. A folder
whose files are still arriving *waits*; one that nobody touched for a while and that is still incomplete, or whose manifest
is wrong, is *rejected*.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import Field

from phoenix_assets.config import Config, config_dir, digest, load
from phoenix_assets.ingest.delivery import (
    MANIFEST_NAME,
    DeliveryManifest,
    DeliveryRejected,
    check_holds_data,
    check_known,
    manifest_identity,
    parse_manifest,
)
from phoenix_assets.ingest.erasure import Refusals
from phoenix_assets.ingest.landing_places import Entry, LocalPlace, Place, RemoteConfig, RemotePlace
from phoenix_assets.schema import RejectReason
from phoenix_assets.sources import Source
from phoenix_assets.visible import visible

_PASSES: Final = {RejectReason.MISSING_FILE, RejectReason.UNREADABLE}  # while files arrive


class LandingConfig(Config):
    """`config/landing.yaml`."""

    remotes: tuple[RemoteConfig, ...] = ()
    settle_seconds: float = Field(ge=0)
    interval_seconds: int = Field(ge=1)
    look_seconds: float = Field(gt=0)
    looks_per_tick: int = Field(ge=1)
    deliveries_per_tick: int = Field(ge=1)
    runs_per_tick: int = Field(ge=1)
    claim_seconds: float = Field(ge=0)
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

    source: str  # as it can be seen: names of folders may hold anything
    delivery: str
    fingerprint: str  # changes when any file of the folder is written again, also with the same bytes
    standing: Standing
    reason: RejectReason | None = None
    detail: str = ""
    place: str = ""  # the URL of the place, "" for the local folder
    manifest: str = ""  # identity of the manifest, "" unless it is in order
    since: float = 0.0  # when this fingerprint was first seen, by our own clock

    @property
    def name(self) -> str:
        """The delivery, as it is called everywhere."""
        return f"{self.source}/{self.delivery}"

    @property
    def manifest_path(self) -> str:
        """Where its manifest lies: in its folder, or at a URL."""
        return f"{self.place}/{self.name}/{MANIFEST_NAME}" if self.place else MANIFEST_NAME


def places(landing: Path, settings: LandingConfig) -> list[Place]:
    """Return the local folder and the other places that are watched."""
    return [LocalPlace(landing), *(RemotePlace(remote) for remote in settings.remotes)]


@dataclass(frozen=True)
class Inspector:
    """Looks at delivery folders at one moment, by our own clock: those of vendors and file systems may be wrong."""

    sources: Mapping[str, Source]
    refusals: Refusals  # of what was erased
    settle_seconds: float
    now: float
    taken_names: Collection[tuple[str, str]] = ()  # that deliveries of the local folder have

    @cached_property
    def rules(self) -> str:
        """What identifies the rules by which deliveries are judged, beside what they hold."""
        formats = {name: list(source.formats) for name, source in self.sources.items()}
        erased = sorted([*map(list, self.refusals.names), *self.refusals.files], key=str)
        return digest(formats, erased)

    def inspect(
        self, place: Place, source: str, delivery: str, before: Arrival | None = None, *, stands: bool = True
    ) -> Arrival:
        """Return what is to be done with a delivery; `before` is what was said of it last.

        It is said again, at no cost, if nothing of the delivery has changed and it `stands`.
        """
        names = visible(source), visible(delivery)
        found = Arrival(*names, fingerprint="", standing=Standing.WAITS, place=place.url, since=self.now)
        try:
            entries = place.entries(source, delivery)
            found = replace(found, fingerprint=_fingerprint(source, delivery, entries))
            if before is not None and before.fingerprint == found.fingerprint:
                if stands and before.standing is not Standing.WAITS:
                    return before
                found = replace(found, since=before.since)
            return self._judged(found, place, source, delivery, entries)
        except DeliveryRejected as problem:
            return replace(
                found, standing=Standing.REJECTED, reason=problem.reason, detail=visible(str(problem))
            )
        except OSError as error:  # it is being moved, or may not be read
            since = before.since if before and before.reason is RejectReason.UNREADABLE else self.now
            detail = f"it cannot be read: {visible(str(error.strerror or error))}"
            standing = Standing.WAITS if self.now - since < self.settle_seconds else Standing.REJECTED
            return replace(
                found, standing=standing, reason=RejectReason.UNREADABLE, detail=detail, since=since
            )

    def _judged(
        self, found: Arrival, place: Place, source: str, delivery: str, entries: list[Entry]
    ) -> Arrival:
        waits = not self._is_quiet(entries, found.since)
        try:
            content = place.manifest(source, delivery)
            manifest = parse_manifest(content, source, delivery)
            accepted = self.sources[manifest.source].formats if manifest.source in self.sources else ()
            check_known(manifest, self.sources, accepted)
            check_holds_data(manifest)
            self.refusals.check(manifest)
            if place.url and (source, delivery) in self.taken_names:
                raise _name_taken(found)
        except DeliveryRejected as problem:
            waits = waits and problem.reason in _PASSES
            standing = Standing.WAITS if waits else Standing.REJECTED
            return replace(found, standing=standing, reason=problem.reason, detail=visible(str(problem)))
        found = replace(found, manifest=manifest_identity(content))
        if (missing := _missing_file(entries, manifest)) and waits:
            return replace(found, reason=RejectReason.MISSING_FILE, detail=missing)
        # A delivery that lacks some files is taken for the files that it has; the others go to quarantine.
        return replace(found, standing=Standing.READY)

    def _is_quiet(self, entries: list[Entry], since: float) -> bool:
        """Return whether nobody has touched a delivery for a while: by its own times unless they lie ahead, or by ours."""
        times = [entry.modified for entry in entries if entry.modified is not None]
        if self.now - since >= self.settle_seconds:
            return True
        return bool(times) and self.now >= max(times) and self.now - max(times) >= self.settle_seconds


def _missing_file(entries: list[Entry], manifest: DeliveryManifest) -> str:
    there = {entry.path: entry.bytes for entry in entries if entry.is_file}
    for file in manifest.files:
        if there.get(file.path, -1) < file.bytes:
            return f"{file.path}: not complete yet"
    return ""


def _name_taken(found: Arrival) -> DeliveryRejected:
    message = f"another delivery is called {found.name}; deliver it under a name of its own"
    return DeliveryRejected(RejectReason.NAME_TAKEN, message)


def _fingerprint(source: str, delivery: str, entries: list[Entry]) -> str:
    lines = [f"{source}/{delivery}", *(f"{entry.path}|{entry.bytes}|{entry.stamp}" for entry in entries)]
    return sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:24]

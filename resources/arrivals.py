"""Take what has landed: register partitions for complete deliveries, quarantine bad ones, fetch what lies elsewhere."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import dagster as dg

from phoenix_assets.content_hash import file_sha256
from phoenix_assets.errors import PhoenixError
from phoenix_assets.ingest.delivery import (
    MANIFEST_NAME,
    DeliveredFile,
    DeliveryRejected,
    manifest_identity,
    manifest_sha256,
    parse_manifest,
)
from phoenix_assets.ingest.landing import Arrival, Standing, load_landing
from phoenix_assets.ingest.landing_places import RemotePlace, mark_origin, origin_of
from phoenix_assets.lineage import LineageRecord, StoredRecord
from phoenix_assets.sources import Source
from resources.alerts import Alert
from resources.declare import deliveries
from resources.landing_register import MANIFEST, LandingRegister
from resources.landing_watch import Seen, look
from resources.phoenix import Phoenix
from resources.quarantine import quarantine_deliveries, release_deliveries
from resources.storage_budget import StorageBudget, load_storage

_REMEMBERED: Final = 50_000  # manifests
_EVERYTHING: Final = {"looks_per_tick": 2**63, "look_seconds": float("inf")}


def take(
    phoenix: Phoenix, instance: dg.DagsterInstance, sources: Mapping[str, Source]
) -> Iterator[tuple[str, str]]:
    """Yield (source/delivery, problem) for each delivery that is new here; an empty problem means that it was taken."""
    settings = load_landing().model_copy(update=_EVERYTHING)
    found = look(phoenix.path, phoenix.landing, sources, settings, None)
    reject(phoenix, found.newly_rejected)
    yield from ((url, f"cannot be listed: {why}") for url, why in found.unreachable.items())
    to_do = _not_taken(phoenix, instance, found.to_do)
    accept(phoenix, to_do)
    problems = {arrival.name: _why_not_brought(phoenix, arrival) for arrival in to_do}
    ready = []
    for arrival in sorted((one.arrival for one in found.seen), key=lambda arrival: arrival.name):
        if problem := _why_not(arrival) or problems.get(arrival.name):
            yield arrival.name, problem
        else:
            ready.append(arrival)
    yield from ((name, "") for name in _add_partitions(instance, ready))


def _not_taken(phoenix: Phoenix, instance: dg.DagsterInstance, to_do: Iterable[Seen]) -> list[Arrival]:
    """Return what is not registered yet; the others are dealt with."""
    taken: dict[bool, list[Arrival]] = {True: [], False: []}
    for one in to_do:
        taken[is_taken(phoenix, instance, one)].append(one.arrival)
    LandingRegister(phoenix.path).deal_with(taken[True])
    return taken[False]


def _add_partitions(instance: dg.DagsterInstance, arrivals: Iterable[Arrival]) -> list[str]:
    """Make deliveries partitions of their sources; return the names of those that were none."""
    by_source: dict[str, list[str]] = {}
    for arrival in arrivals:
        by_source.setdefault(arrival.source, []).append(arrival.delivery)
    added = []
    for source, names in by_source.items():
        partitions = deliveries(source).name or ""
        known = set(instance.get_dynamic_partitions(partitions))
        new = [name for name in names if name not in known]
        instance.add_dynamic_partitions(partitions, new)
        added += [f"{source}/{name}" for name in new]
    return added


def _why_not(arrival: Arrival) -> str:
    match arrival.standing:
        case Standing.REJECTED:
            return f"rejected, {arrival.reason}: {arrival.detail}"
        case Standing.WAITS:
            return f"still arriving: {arrival.detail}"
        case Standing.READY:
            return ""


def _why_not_brought(phoenix: Phoenix, arrival: Arrival) -> str:
    try:
        bring(phoenix, arrival.source, arrival.delivery)
    except (OSError, PhoenixError) as error:
        return f"cannot be fetched: {error}"
    return ""


def reject(phoenix: Phoenix, arrivals: Iterable[Arrival]) -> None:
    """Put deliveries into quarantine, and tell somebody."""
    rejected = list(arrivals)
    quarantine_deliveries(phoenix.lake, rejected)
    phoenix.alerts.tell(
        *(
            Alert(
                case=_case(arrival),
                version=arrival.fingerprint,
                message=f"cannot be taken, {arrival.reason}: {arrival.detail}",
            )
            for arrival in rejected
        )
    )


def accept(phoenix: Phoenix, arrivals: Iterable[Arrival]) -> None:
    """Let deliveries out of quarantine that were corrected, and tell whoever was told of them."""
    accepted = list(arrivals)
    release_deliveries(phoenix.lake, accepted)
    phoenix.alerts.solved(dict.fromkeys(map(_case, accepted), "it was corrected, and can be taken"))


def _case(arrival: Arrival) -> str:
    return f"delivery {arrival.name}{f' at {arrival.place}' if arrival.place else ''}"


def tell_of_files(phoenix: Phoenix, stored: StoredRecord, received: date) -> None:
    """Tell of a registered delivery's files that could not be taken, and of a date that cannot be."""
    record = stored.record
    name = f"{record.asset.partition('/')[0]}/{record.partition}"
    bad, date_case = f"files {name}", f"date {name}"
    if count := record.counts["quarantined"]:
        reasons = ", ".join(f"{number} {reason}" for reason, number in record.reasons.items())
        message = f"{count} files cannot be taken ({reasons}); the others go on. Details: phoenix quarantine"
        phoenix.alerts.tell(Alert(case=bad, version=str(record.config[MANIFEST]), message=message))
    else:
        phoenix.alerts.solved({bad: "all files are in order"})
    if received > phoenix.today + timedelta(days=1):  # it may be tomorrow already where the vendor is
        message = (
            f"received on {received}, which lies ahead; taken as it is. Correct the manifest, or our clock"
        )
        phoenix.alerts.tell(Alert(case=date_case, version=received.isoformat(), message=message))
    else:
        phoenix.alerts.solved({date_case: "its date lies ahead no more"})


def bring(phoenix: Phoenix, source: str, delivery: str) -> Path:
    """Return the local folder of a delivery; what lies elsewhere is fetched into it, unless it is there as it is there.

    Files that an earlier version of the delivery had too are not fetched again. Raises StorageError when there is no
    room, OSError when the place cannot be reached.
    """
    folder = phoenix.landing / source / delivery
    origin = origin_of(folder)
    if folder.is_dir() and not origin:
        return folder
    remotes = [RemotePlace(remote) for remote in load_landing().remotes]
    for remote in (one for one in remotes if origin in ("", one.url)):
        try:
            content = remote.manifest(source, delivery)
        except DeliveryRejected:  # it is not there
            continue
        if not folder.is_dir() or manifest_sha256(folder) != manifest_identity(content):
            _fetch(phoenix, remote, folder, content)
        break
    return folder


def _fetch(phoenix: Phoenix, remote: RemotePlace, folder: Path, content: bytes) -> None:
    source, delivery = folder.parent.name, folder.name
    manifest = parse_manifest(content, source, delivery)
    budget, now = StorageBudget(phoenix.path, load_storage()), datetime.now(UTC)
    fetched = folder.with_name(f".{delivery}.fetch")
    whole = sum(file.bytes for file in manifest.files)
    with budget.reserve(f"{source}/{delivery}", whole, fetched, now):
        fetched.mkdir(parents=True, exist_ok=True)
        missing = [file for file in manifest.files if not _is_there(file, folder, fetched)]
        remote.fetch(source, delivery, missing, fetched)
        (fetched / MANIFEST_NAME).write_bytes(content)
        mark_origin(folder, remote.url)
        if folder.is_dir():
            replaced = folder.with_name(f".{delivery}.replaced")
            shutil.rmtree(replaced, ignore_errors=True)
            folder.rename(replaced)
            fetched.rename(folder)
            budget.delete(replaced, now)
        else:
            fetched.rename(folder)


def _is_there(file: DeliveredFile, *folders: Path) -> bool:
    """Return whether one of the folders holds a file as it is promised; the last one holds it then."""
    target = folders[-1] / file.path
    for folder in reversed(folders):
        path = folder / file.path
        if path.is_file() and path.stat().st_size == file.bytes and file_sha256(path) == file.sha256:
            if path != target:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                os.link(path, target)
            return True
    return False


def is_taken(phoenix: Phoenix, instance: dg.DagsterInstance, seen: Seen) -> bool:
    """Return whether a delivery that was never asked for here is registered, for instance by the command line."""
    arrival = seen.arrival
    stored = phoenix.ledger.heads(f"{arrival.source}/raw").get(arrival.delivery) if seen.is_unknown else None
    return (
        stored is not None
        and stored.record.config.get(MANIFEST) == arrival.manifest
        and instance.has_dynamic_partition(deliveries(arrival.source).name or "", arrival.delivery)
    )


def is_registered(landing: Path, record: LineageRecord) -> bool:
    """Return whether a raw record was made by the manifest that lies in the landing folder now."""
    return record.config.get(MANIFEST) == _landed_manifest(landing, record)


def is_replaced(landing: Path, record: LineageRecord) -> bool:
    """Return whether a record is of a delivery that has another manifest in the landing folder now.

    Files that were taken may be removed from the landing folder: a folder that is not there replaces nothing.
    """
    registered = record.config.get(MANIFEST)
    return registered is not None and _landed_manifest(landing, record) not in (None, registered)


def _landed_manifest(landing: Path, record: LineageRecord) -> str | None:
    folder = landing / record.asset.partition("/")[0] / record.partition
    try:
        status = (folder / MANIFEST_NAME).stat()
        return _identity(folder, status.st_mtime_ns, status.st_size, status.st_ino)
    except (OSError, DeliveryRejected):
        return None


@lru_cache(maxsize=_REMEMBERED)
def _identity(folder: Path, *version: int) -> str:
    """Return the identity of a manifest, reading it again only when its file is another one."""
    return manifest_sha256(folder)

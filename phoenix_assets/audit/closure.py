"""What stands behind records and what stands on them, and the proof that the lake still holds it unchanged.

One model for every audit: a record names its exact inputs. *Behind* records is the closure of their inputs; *on* them is
the closure of what names them, by the same identity (asset, partition, data version).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from phoenix_assets.content_hash import ContentHash, content_hash, file_sha256
from phoenix_assets.lineage import InputVersion, StoredRecord
from resources.erased_files import is_erased
from resources.lake import Lake
from resources.ledger import LineageLedger


@dataclass(frozen=True)
class Verification:
    """What was recomputed, and what did not agree."""

    partitions: int
    rows: int
    files: int
    problems: tuple[str, ...]
    deleted: tuple[str, ...] = ()  # what was not recomputed: it was erased, or nothing newest needs it

    @property
    def passed(self) -> bool:
        """Whether everything agreed."""
        return not self.problems

    def values(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "passed": self.passed,
            **asdict(self),
            "problems": list(self.problems),
            "deleted": list(self.deleted),
        }


def closure(ledger: LineageLedger, *starts: StoredRecord) -> list[StoredRecord]:
    """Return `starts` and every record behind them, each once, inputs before what reads them."""

    def behind(frontier: Collection[StoredRecord]) -> list[StoredRecord]:
        sources = {source for stored in frontier for source in stored.record.inputs}
        return ledger.records_of(sorted(sources, key=str))

    return _reached(starts, behind)


def standing_on(ledger: LineageLedger, *starts: StoredRecord) -> list[StoredRecord]:
    """Return every record that was made from `starts`, through however many others, inputs before what reads them."""
    ledger.refresh()
    found = _reached(starts, ledger.readers_of)
    return [stored for stored in found if stored not in starts]


def _reached(
    starts: Sequence[StoredRecord], step: Callable[[Collection[StoredRecord]], Iterable[StoredRecord]]
) -> list[StoredRecord]:
    found = {_place(start): start for start in starts}
    frontier = list(found.values())
    while frontier:
        new = {_place(stored): stored for stored in step(frontier)}
        frontier = [stored for place, stored in new.items() if place not in found]
        found.update((_place(stored), stored) for stored in frontier)
    return sorted(found.values(), key=lambda stored: (stored.record.finished, stored.record.record_id))


def _place(stored: StoredRecord) -> tuple[str, str, str, int]:
    record = stored.record
    return record.asset, record.partition, record.data_version, stored.storage_version


def verify(lake: Lake, records: Collection[StoredRecord]) -> Verification:
    """Recompute the content hash of every record's rows, of the tables beside them, and the checksums of their files."""
    problems: list[str] = []
    deleted: list[str] = []
    rows = files = 0
    outdated = _outdated(records)
    for stored in records:
        for label, table, promised in _claims(stored):
            try:
                gone = _missing(lake, table)
                if gone and (all(map(is_erased, gone)) or stored.record.record_id in outdated):
                    deleted.append(label)
                    continue
                counted, found = _content(lake, table)
                checked, wrong = _check_files(lake, table)
            except (OSError, pl.exceptions.PolarsError) as error:
                problems.append(f"{label}: cannot be read: {error}")
                continue
            rows += counted
            files += checked
            if found != promised:
                problems.append(f"{label}: rows hash to {found}, the record says {promised}")
            problems += [f"{label}: {detail}" for detail in wrong]
    return Verification(len(records), rows, files, tuple(problems), tuple(deleted))


def _outdated(records: Collection[StoredRecord]) -> set[str]:
    """Return the record ids of indexes' own earlier versions, and of what stands behind those alone."""
    by_version: dict[tuple[str, str, str], list[StoredRecord]] = {}
    for one in records:
        version = one.record.asset, one.record.partition, one.record.data_version
        by_version.setdefault(version, []).append(one)

    def read(stored: StoredRecord, *, also_own: bool) -> Iterator[StoredRecord]:
        for one in stored.record.inputs:
            if also_own or one.asset != stored.record.asset:
                yield from by_version.get((one.asset, one.partition, one.data_version), ())

    behind = {found.record.record_id for one in records for found in read(one, also_own=True)}
    frontier = [one for one in records if one.record.record_id not in behind]
    needed: set[str] = set()
    while frontier:
        needed |= {one.record.record_id for one in frontier}
        found = (other for one in frontier for other in read(one, also_own=False))
        frontier = list(
            {one.record.record_id: one for one in found if one.record.record_id not in needed}.values()
        )
    return {one.record.record_id for one in records} - needed


def _missing(lake: Lake, table: InputVersion) -> list[Path]:
    """Return the files of a table's version, and those that its rows list, that are not there."""
    paths = [shard.path for shard in lake.shards(table)]
    gone = [path for path in paths if not path.is_file()]
    rows = lake.read(table)
    if not gone and "stored_at" in rows.collect_schema():
        listed = rows.select("stored_at").collect()["stored_at"]
        gone = [path for name in listed if not (path := lake.table_dir(table.asset) / name).is_file()]
    return gone


def with_verification(
    lake: Lake, found: Mapping[str, Any], records: Sequence[StoredRecord], *, verified: bool
) -> dict[str, Any]:
    """Return an audit with its verification: of the records that it stands on, None when it is not asked for."""
    return {**found, "verification": verify(lake, records).values() if verified else None}


def _claims(stored: StoredRecord) -> list[tuple[str, InputVersion, str]]:
    """Return what a record says of its tables: a name for people, the table, the hash of its rows."""
    record = stored.record
    name = f"{record.asset}[{record.partition}]" if record.partition else record.asset
    beside = [(f"{name} {kind}", table, table.data_version) for kind, table in record.side_tables.items()]
    return [(name, stored.as_input(), record.content_hash), *beside]


def _content(lake: Lake, source: InputVersion) -> tuple[int, str]:
    total = ContentHash()
    for shard in lake.shards(source):
        frame = shard.read()
        total += content_hash(frame.drop(shard.column) if shard.column else frame)
    return total.rows, total.data_version


def _check_files(lake: Lake, table: InputVersion) -> tuple[int, list[str]]:
    """Return how many files the rows of a table list, and what is wrong with them."""
    rows = lake.read(table)
    if "stored_at" not in rows.collect_schema():
        return 0, []
    wrong = []
    listed = rows.select("path", "sha256", "stored_at").collect()
    for path, checksum, stored_at in listed.iter_rows():
        stored = lake.table_dir(table.asset) / stored_at
        if not stored.is_file():
            wrong.append(f"file {path} is gone")
        elif file_sha256(stored) != checksum:
            wrong.append(f"file {path} differs from its checksum")
    return listed.height, wrong

"""Everything behind one record: the closure of its inputs, and the proof that the lake still holds it unchanged."""

from dataclasses import dataclass

import polars as pl

from phoenix_assets.content_hash import ContentHash, content_hash, file_sha256
from phoenix_assets.lineage import InputVersion, StoredRecord
from resources.lake import Lake
from resources.ledger import LineageLedger


@dataclass(frozen=True)
class Verification:
    """What was recomputed, and what did not agree."""

    partitions: int
    rows: int
    files: int
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything agreed."""
        return not self.problems


def closure(ledger: LineageLedger, start: StoredRecord) -> list[StoredRecord]:
    """Return `start` and every record behind it, each once, inputs before what reads them."""
    found: dict[tuple[str, str, str, int], StoredRecord] = {_place(start): start}
    frontier = [start]
    while frontier:
        sources = {source for stored in frontier for source in stored.record.inputs}
        records = ledger.records_of(sorted(sources, key=str))
        frontier = [stored for stored in records if _place(stored) not in found]
        found.update((_place(stored), stored) for stored in frontier)
    return sorted(found.values(), key=lambda stored: (stored.record.finished, stored.record.record_id))


def _place(stored: StoredRecord) -> tuple[str, str, str, int]:
    record = stored.record
    return record.asset, record.partition, record.data_version, stored.storage_version


def verify(lake: Lake, records: list[StoredRecord]) -> Verification:
    """Recompute the content hash of every record's rows, of the tables beside them, and the checksums of their files."""
    problems: list[str] = []
    rows = files = 0
    for stored in records:
        for label, table, promised in _claims(stored):
            try:
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
    return Verification(len(records), rows, files, tuple(problems))


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

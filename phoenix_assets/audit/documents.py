"""Which documents an audit is about, and their rows in the tables of the lake.

Ledgers are written in the order of doc_ids, so that one document's row is in one small row group of each file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from phoenix_assets.bounds import SIGNS
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import Stage
from resources.dedup_index import origin
from resources.document_index import DocumentIndex
from resources.lake import Lake
from resources.ledger import LineageLedger

STAGES: Final = tuple(stage for stage in Stage if stage is not Stage.RAW)
ORIGIN: Final = ("doc_id", "source", "delivery", "locator", "url", "title")


@dataclass(frozen=True)
class Subset:
    """Documents of one delivery: all of them, or those with some ids."""

    source: str
    delivery: str
    doc_ids: tuple[str, ...] | None = None

    @property
    def of_this(self) -> pl.Expr:
        """Whether a row with doc_id, source and delivery is about one of them."""
        return (pl.col("source") == self.source) & (pl.col("delivery") == self.delivery) & self.chosen

    @property
    def chosen(self) -> pl.Expr:
        """Whether a row of the delivery with a doc_id is about one of them."""
        return pl.lit(True) if self.doc_ids is None else is_one_of(self.doc_ids)


@dataclass(frozen=True)
class Located:
    """A document and the version of its delivery that has it; `current` when that is the newest one."""

    origin: Mapping[str, Any]  # ORIGIN
    extracted: StoredRecord
    current: bool


def is_one_of(doc_ids: Sequence[str]) -> pl.Expr:
    """Return whether a row is about one of the documents; a single one is looked up by the bounds of row groups."""
    return pl.col("doc_id") == doc_ids[0] if len(doc_ids) == 1 else pl.col("doc_id").is_in(doc_ids)


def locate(lake: Lake, ledger: LineageLedger, doc_id: str, index: DocumentIndex | None = None) -> Located:
    """Return where a document is, in the newest version of the delivery that has it. Raises LineageError for none."""
    if len(doc_id) == 32 and set(doc_id) <= set("0123456789abcdef"):
        places = (index or DocumentIndex(lake, ledger)).deliveries_of(doc_id)
        for stored in reversed(ledger.records_of(places)):
            if (origin := _origin(lake, stored, doc_id)) is not None:
                newest = ledger.heads(stored.record.asset).get(stored.record.partition)
                current = newest is not None and newest.record.data_version == stored.record.data_version
                return Located(origin, stored, current)
    raise LineageError(
        f"no document {doc_id!r} in any ledger; a doc_id is 32 hex digits, from any table or sample"
    )


def _origin(lake: Lake, extracted: StoredRecord, doc_id: str) -> dict[str, Any] | None:
    """Return where a document came from. What extraction itself dropped is known by its id alone."""
    wanted = is_one_of([doc_id])
    ledger = extracted.record.side_tables[SideTable.LEDGER]
    rows, ids = pl.collect_all(
        [
            lake.read_commit(extracted.as_input()).filter(wanted).select(ORIGIN),
            lake.read_commit(ledger).filter(wanted).select("doc_id"),
        ]
    )
    if rows.height:
        return rows.row(0, named=True)
    source = extracted.record.asset.partition("/")[0]
    known = {"doc_id": doc_id, "source": source, "delivery": extracted.record.partition}
    return dict.fromkeys(ORIGIN, "") | known if ids.height else None


def verdicts_on(lake: Lake, ledger: LineageLedger, located: Located) -> list[dict[str, Any]]:
    """Return a document's LEDGER rows by stage as plain values: rules in one list, with the versions that judged it."""
    source, delivery = located.origin["source"], located.origin["delivery"]
    records = list(_judges(ledger, source, delivery, current=located.current))
    wanted = is_one_of([located.origin["doc_id"]])
    rows = pl.collect_all(
        [lake.read_commit(one.record.side_tables[SideTable.LEDGER]).filter(wanted) for one in records]
    )
    found: dict[str, dict[str, Any]] = {}
    for stored, frame in zip(records, rows, strict=True):
        if frame.height and frame["stage"][0] not in found:
            found[frame["stage"][0]] = _verdict(frame.row(0, named=True), stored)
    return [found[stage] for stage in STAGES if stage in found]


def _judges(ledger: LineageLedger, source: str, delivery: str, *, current: bool) -> Iterator[StoredRecord]:
    """Yield the records of a delivery's stages: the newest ones, or all that there were, newest first."""
    assets = [f"{source}/{stage}" for stage in STAGES]
    if not current:
        yield from ledger.history(assets, delivery)
        return
    heads = ledger.all_heads(assets)
    yield from (heads[asset][delivery] for asset in assets if delivery in heads.get(asset, {}))


def _verdict(row: dict[str, Any], stored: StoredRecord) -> dict[str, Any]:
    rules = zip(row.pop("rules_name"), row.pop("rules_value"), row.pop("rules_cond"), strict=True)
    row["rules"] = [
        {"rule": name, "value": value, "holds": holds, "bounds": _bounds(stored, name, row["lang"])}
        for name, value, holds in rules
    ]
    return row | {
        "data_version": stored.record.data_version,
        "code_version": stored.record.code_version,
        "finished": stored.record.finished,
    }


def decisions_on(lake: Lake, index: StoredRecord, source: str, delivery: str) -> pl.LazyFrame:
    """Scan what a dedup index decided on one delivery: no row when it has not seen it."""
    column = lake.partition_column(index.record.asset)
    return lake.read(index.as_input()).filter(pl.col(column or "origin") == origin(source, delivery))


def _bounds(stored: StoredRecord, rule: str, lang: str | None) -> dict[str, float]:
    """Return the bounds by which a filter judged, from its own record; {} for what was only computed."""
    profile: Any = stored.record.config.get("filter_profile", {})
    of_language = profile.get("languages", {}).get(lang or "", {})
    setting = of_language.get(rule) or profile.get("rules", {}).get(rule, {})
    if not setting.get("enforced", True):
        return {}
    return {name: setting[name] for name in SIGNS if setting.get(name) is not None}

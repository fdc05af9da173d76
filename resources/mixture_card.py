"""A mixture's dataset card and Croissant metadata, from what its record and those behind it say."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import polars as pl

from phoenix_assets.audit.croissant import DataFile, croissant
from phoenix_assets.audit.dataset_card import BY, MixtureFacts, dataset_card
from phoenix_assets.content_hash import file_sha256
from phoenix_assets.lineage import InputVersion, LineageRecord, StoredRecord
from phoenix_assets.schema import Stage
from resources.ledger import LineageLedger

CARD, CROISSANT = "README.md", "croissant.json"
_COLUMNS: Final = {
    "doc_id": "The document's id: the hash of source, delivery and place in it.",
    "source": "The source that the document is of.",
    "delivery": "The delivery that it came with.",
    "component": "The component of the recipe that wants it.",
    "split": "train, validation or heldout.",
    "copies": "How many times the split holds it.",
    "chars": "Characters of its text.",
    "est_tokens": "Estimated tokens of one copy.",
}


def mixture_facts(ledger: LineageLedger, stored: StoredRecord) -> MixtureFacts:
    """Return what is known of a mixture."""
    lake, record = ledger.lake, stored.record
    rows = lake.read(stored.as_input())
    sizes = {
        "documents": pl.len(),
        "copies": pl.col("copies").cast(pl.Int64).sum(),
        "tokens": (pl.col("est_tokens") * pl.col("copies")).sum(),
    }
    behind = _stages(ledger, record)
    raw = [one for one in behind if one.record.asset.endswith(f"/{Stage.RAW}")]
    delivered = ("source", "delivery", "vendor", "received")
    origins = pl.concat(
        [pl.LazyFrame(schema=dict.fromkeys(delivered, pl.String))]
        + [lake.read(one.as_input()).select(delivered).unique() for one in raw]
    )
    languages = [
        lake.read(source).select("doc_id", "lang")
        for source in record.inputs
        if source.asset.endswith(f"/{Stage.TAGGED}")
    ]
    spoken = rows.join(pl.concat(languages), on="doc_id", how="left")
    components, deliveries, langs = pl.collect_all(
        [
            rows.group_by("component", "split").agg(**sizes).sort("component", "split"),
            rows.group_by("source", "delivery").agg(**sizes).sort("source", "delivery"),
            spoken.group_by("lang").agg(**sizes).sort(["tokens", "lang"], descending=[True, False]),
        ],
        engine="streaming",
    )
    return MixtureFacts(
        version=record.asset.partition("/")[2],
        record=record,
        storage_version=stored.storage_version,
        components=components,
        deliveries=deliveries.join(origins.collect(), on=["source", "delivery"], how="left", maintain_order="left")
        .select(*delivered, *BY),
        languages=langs,
        stages=[one.record for one in behind],
    )  # fmt: skip


def card_folder(home: Path, stored: StoredRecord) -> Path:
    """Return the folder that has the card of the newest version of a mixture, for people and catalogues."""
    return home / "reports" / stored.record.asset


def write_card(ledger: LineageLedger, stored: StoredRecord, folder: Path) -> str:
    """Write a mixture's card and its Croissant metadata into `folder`; return the card."""
    facts, lake = mixture_facts(ledger, stored), ledger.lake
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        DataFile(os.path.relpath(shard.path, folder), shard.path.stat().st_size, file_sha256(shard.path))
        for shard in lake.shards(stored.as_input())
    ]
    schema = lake.read(stored.as_input()).collect_schema()
    columns = {name: str(schema[name]) for name in _COLUMNS}
    card = dataset_card(facts)
    (folder / CARD).write_text(card, "utf-8")
    values = croissant(facts, files, columns, _COLUMNS)
    (folder / CROISSANT).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return card


def _stages(ledger: LineageLedger, record: LineageRecord) -> list[StoredRecord]:
    """Return the records of the stages that the deliveries behind a mixture passed, each once."""
    found: dict[str, StoredRecord] = {}
    frontier = ledger.records_of(source for source in record.inputs if source.partition)
    while frontier:
        found |= {stored.record.record_id: stored for stored in frontier}
        earlier = ledger.records_of(
            {source for stored in frontier for source in _same_delivery(stored.record)}
        )
        frontier = [stored for stored in earlier if stored.record.record_id not in found]
    return sorted(found.values(), key=lambda stored: (stored.record.asset, stored.record.partition))


def _same_delivery(record: LineageRecord) -> Iterable[InputVersion]:
    """Return the inputs that are the same delivery at the stage before."""
    source = record.asset.partition("/")[0]
    return (
        one
        for one in record.inputs
        if one.partition == record.partition
        and one.asset.startswith(f"{source}/")
        and one.asset.partition("/")[2] in set(Stage)
    )

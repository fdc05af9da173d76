"""The tombstones of documents: made while their texts are still there, of what every stage made of them."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from phoenix_assets.audit.documents import STAGES, Subset
from phoenix_assets.audit.prints import load_prints, prints
from phoenix_assets.ingest.erasure import TOMBSTONE, text_hashes
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import Stage
from resources.erasures import erased_of
from resources.lake import Lake
from resources.ledger import LineageLedger

_SALT_BITS: Final = 62


def tombstones_for(
    lake: Lake,
    ledger: LineageLedger,
    subsets: Sequence[Subset],
    erasure: str,
    reason: str,
    ordered_by: str,
    at: datetime,
) -> pl.DataFrame:
    """Return the TOMBSTONE rows of an order; the same text in the same delivery under another id goes with it."""
    parts = [TOMBSTONE.to_frame()]
    for one in subsets:
        known = erased_of(ledger, one.source, one.delivery)
        salt = known["salt"][0] if known.height else secrets.randbits(_SALT_BITS)
        rows = _documents(lake, ledger, one, salt)
        if one.doc_ids is None:
            rows = pl.concat([_delivery(lake, ledger, one), rows], how="diagonal_relaxed")
        said = {
            "erasure": erasure, "source": one.source, "delivery": one.delivery, "reason": reason,
            "ordered_by": ordered_by, "at": at.isoformat(timespec="seconds"), "salt": salt,
        }  # fmt: skip
        parts.append(rows.with_columns(**{name: pl.lit(value) for name, value in said.items()}))
    return pl.concat(
        [
            part.match_to_schema(TOMBSTONE, missing_columns="insert").select(TOMBSTONE.names())
            for part in parts
        ]
    )


def _documents(lake: Lake, ledger: LineageLedger, subset: Subset, salt: int) -> pl.DataFrame:
    """Return doc_id, text_hash and prints of the documents, as extracted and as every later stage has them."""
    heads = [
        stored for stage in STAGES if (stored := ledger.head(f"{subset.source}/{stage}", subset.delivery))
    ]
    extracted = [stored for stored in heads if stored.record.asset.endswith(f"/{Stage.EXTRACTED}")]
    if not extracted:
        ids = pl.DataFrame({"doc_id": subset.doc_ids or ()}, schema={"doc_id": pl.String})
        return ids.with_columns(prints=pl.lit([], dtype=pl.List(pl.Int64)))
    rows = lake.read_commit(extracted[0].as_input()).select("doc_id", "text").collect()
    rows = rows.with_columns(text_hash=pl.Series(text_hashes(rows["text"], salt), dtype=pl.String))
    named = rows.filter(subset.chosen)
    chosen = rows.filter(pl.col("text_hash").is_in(named["text_hash"].implode()))["doc_id"]
    every = _with_rejects(lake, extracted[0], subset, chosen)
    found = pl.concat([_prints(lake, stored, chosen, salt) for stored in heads])
    together = found.group_by("doc_id").agg(pl.col("prints").explode().drop_nulls().unique().sort())
    return (
        pl.DataFrame({"doc_id": every})
        .join(rows.select("doc_id", "text_hash"), on="doc_id", how="left")
        .join(together, on="doc_id", how="left")
        .with_columns(pl.col("prints").fill_null([]))
        .sort("doc_id")
    )


def _with_rejects(lake: Lake, extracted: StoredRecord, subset: Subset, chosen: pl.Series) -> pl.Series:
    """Return the documents, and the records that extraction dropped, which have ids and no text."""
    table = extracted.record.side_tables[SideTable.LEDGER]
    known = lake.read_commit(table).filter(subset.chosen).select("doc_id").collect()["doc_id"]
    return pl.concat([chosen, known]).unique()


def _prints(lake: Lake, stored: StoredRecord, doc_ids: pl.Series, salt: int) -> pl.DataFrame:
    wanted = pl.col("doc_id").is_in(doc_ids.implode())
    rows = lake.read_commit(stored.as_input()).filter(wanted).select("doc_id", "text").collect()
    return rows.select("doc_id", prints=prints(rows["text"], salt, load_prints()))


def _delivery(lake: Lake, ledger: LineageLedger, subset: Subset) -> pl.DataFrame:
    """Return the row that erases a delivery as a whole, with the SHA-256 of its files."""
    raw = ledger.head(f"{subset.source}/{Stage.RAW}", subset.delivery)
    sums = (
        []
        if raw is None
        else lake.read_commit(raw.as_input()).select("sha256").collect()["sha256"].sort().to_list()
    )
    return pl.DataFrame(
        {"doc_id": [None], "files": [sums]}, schema={"doc_id": pl.String, "files": pl.List(pl.String)}
    )

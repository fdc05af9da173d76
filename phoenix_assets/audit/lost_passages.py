"""Which paragraphs and sentences of a document the group has already, and which document keeps them."""

from typing import Any

import polars as pl

from phoenix_assets.dedup.passages.config import Passage
from phoenix_assets.lineage import UNPARTITIONED
from resources.lake import Lake
from resources.ledger import LineageLedger

_HOLDER = ("holder", "holder_source", "holder_delivery")


def lost_passages(lake: Lake, ledger: LineageLedger, doc_id: str) -> list[dict[str, Any]]:
    """Return level, passages (how many), doc_id, source and delivery of what keeps them, as plain JSON values.

    A document that repeats itself is among its own holders.
    """
    found: list[dict[str, Any]] = []
    for passage in Passage:
        indexes = [asset for asset in lake.assets() if _is_index(asset, passage)]
        for heads in ledger.all_heads(indexes).values():
            rows = lake.read(heads[UNPARTITIONED].as_input()).filter(pl.col("doc_id") == doc_id)
            held = rows.select(_HOLDER).explode(_HOLDER, empty_as_null=False).group_by(_HOLDER).len()
            found += (
                held.sort("len", *_HOLDER, descending=[True, False, False, False])
                .collect(engine="streaming")
                .select(pl.lit(passage.value).alias("level"), passages="len", doc_id="holder",
                        source="holder_source", delivery="holder_delivery")
                .to_dicts()
            )  # fmt: skip
    return found


def _is_index(asset: str, passage: Passage) -> bool:
    return asset.startswith("dedup/") and asset.endswith(f"/{passage.value}")

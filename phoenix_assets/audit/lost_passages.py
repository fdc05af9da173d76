"""Which paragraphs and sentences of a document the group has already, and which document keeps them."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from phoenix_assets.audit.documents import decisions_on
from phoenix_assets.dedup.passages.config import Passage
from phoenix_assets.lineage import UNPARTITIONED
from resources.lake import Lake
from resources.ledger import LineageLedger

_HOLDER = ("holder", "holder_source", "holder_delivery")


def lost_passages(lake: Lake, ledger: LineageLedger, origin: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return of a document (doc_id, source, delivery) level, passages (how many), doc_id, source and delivery of what keeps them, as plain JSON values.

    A document that repeats itself is among its own holders.
    """
    found: list[dict[str, Any]] = []
    heads = ledger.all_heads(lake.assets("dedup"))
    for passage in Passage:
        for index in (
            one[UNPARTITIONED] for name, one in heads.items() if name.endswith(f"/{passage.value}")
        ):
            if all(source.asset.partition("/")[0] != origin["source"] for source in index.record.inputs):
                continue
            decided = decisions_on(lake, index, origin["source"], origin["delivery"])
            rows = decided.filter(pl.col("doc_id") == origin["doc_id"])
            held = rows.select(_HOLDER).explode(_HOLDER, empty_as_null=False).group_by(_HOLDER).len()
            found += (
                held.sort("len", *_HOLDER, descending=[True, False, False, False])
                .collect(engine="streaming")
                .select(pl.lit(passage.value).alias("level"), passages="len", doc_id="holder",
                        source="holder_source", delivery="holder_delivery")
                .to_dicts()
            )  # fmt: skip
    return found

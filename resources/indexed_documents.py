"""The documents that a dedup index decided on, exactly as it saw them."""

from collections.abc import Iterable

import polars as pl

from phoenix_assets.lineage import StoredRecord
from phoenix_assets.schema import Stage
from resources.lake import Lake
from resources.ledger import LineageLedger


def documents(
    lake: Lake, ledger: LineageLedger, stored: StoredRecord, wanted: pl.DataFrame, columns: Iterable[str]
) -> pl.DataFrame:
    """Return doc_id and `columns` (strings) of `wanted` documents (doc_id, source, delivery) of the index `stored`.

    Only the deliveries that hold one are read, at the versions that stand behind the index, and of their texts only
    those.
    """
    places = wanted.select("source", "delivery").unique().sort("source", "delivery")
    signatures = {(one.asset, one.partition): one for one in stored.record.inputs}
    made = ledger.records_of(
        signatures[f"{source}/signatures", delivery] for source, delivery in places.iter_rows()
    )
    ids = pl.col("doc_id").is_in(wanted["doc_id"].unique().to_list())
    frames = [pl.LazyFrame(schema=dict.fromkeys(("doc_id", *columns), pl.String))]
    for record in (one.record for one in made):
        [filtered] = [one for one in record.inputs if one.asset.endswith(f"/{Stage.FILTERED}")]
        frames.append(lake.read(filtered).filter(ids).select("doc_id", *columns))
    return pl.concat(pl.collect_all(frames, engine="streaming"))

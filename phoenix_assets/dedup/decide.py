"""Which copy of a cluster is kept, and which survivor each dropped copy stands behind.

The survivor is the document that an earlier index version kept; else the one of the best source; else the
earliest received; then delivery and doc_id settle ties. An earlier decision is never displaced:
- a document kept earlier stays kept, also when a new document bridges its cluster with another kept one;
- a document dropped earlier stays dropped behind the same survivor so long as that one is there.
"""

from typing import Final

import polars as pl

from phoenix_assets.errors import ConservationError

KERNEL_VERSION: Final = "1"

CANDIDATE: Final = pl.Schema(
    {
        "doc_id": pl.String,
        "source_rank": pl.Int64,  # 0 is the best
        "received": pl.Date,  # when its delivery came; null is last
        "delivery": pl.String,
        "already_kept": pl.Boolean,  # the earlier index version's decision, null when it had none
        "earlier_duplicate_of": pl.String,  # the survivor then, null unless dropped then
        "cluster": pl.Int64,
    }
)

CHOICE: Final = pl.Schema({"doc_id": pl.String, "kept": pl.Boolean, "duplicate_of": pl.String})

_PREFERENCE: Final = ["source_rank", "received", "delivery", "doc_id"]


def decide(documents: pl.DataFrame) -> pl.DataFrame:
    """Return a CHOICE row for each CANDIDATE row, sorted by doc_id; the order of the input does not matter.

    `duplicate_of` is the doc_id of a kept document of the same cluster, null when the document is kept
    itself. A document dropped earlier whose survivor has gone competes as if it were new. Raises
    ConservationError when a doc_id comes twice.
    """
    doubled = documents.filter(pl.col("doc_id").is_duplicated())
    if doubled.height:
        raise ConservationError(
            f"{doubled['doc_id'].n_unique()} doc_id(s) reached dedup more than once, the first is "
            f"{doubled['doc_id'].min()!r}: two deliveries or two reads of one delivery overlap"
        )
    by_preference = documents.select(
        *_PREFERENCE, "cluster", "earlier_duplicate_of", stays=pl.col("already_kept").fill_null(False)
    ).sort(pl.col("stays").not_(), *_PREFERENCE, nulls_last=True)
    first = pl.col("doc_id").first().over("cluster")
    chosen = by_preference.with_columns(survivor=first, kept=pl.col("stays") | (pl.col("doc_id") == first))
    kept = chosen.filter("kept").select(earlier_duplicate_of="doc_id", earlier_cluster="cluster")
    still_there = pl.col("earlier_cluster") == pl.col("cluster")
    return (
        chosen.join(kept, on="earlier_duplicate_of", how="left")
        .select(
            "doc_id",
            "kept",
            duplicate_of=pl.when("kept")
            .then(None)
            .when(still_there)
            .then("earlier_duplicate_of")
            .otherwise("survivor"),
        )
        .sort("doc_id")
        .cast(dict(CHOICE))  # type: ignore[arg-type]
    )

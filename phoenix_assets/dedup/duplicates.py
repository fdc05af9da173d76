"""The index of a dedup group: every document's decision, from signatures and exact hashes.

The model:
- Edges come from equal exact hashes, from near-duplicate signatures, and from what an earlier index version
  decided; the components of all of them are the clusters, and `decide` picks who is kept in each.
- Rows are put in doc_id order first, so the result depends on the documents alone.
- A new delivery needs only itself and the documents it could touch: `neighbours` picks these from an index by
  `keys`. All others keep their decision, because an earlier decision is never displaced.
"""

from enum import StrEnum
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup import components, decide, lsh, minhash
from phoenix_assets.dedup.config import GroupConfig, SignatureConfig

KERNEL_VERSION: Final = "1"


class Kind(StrEnum):
    """How a dropped document resembles its survivor."""

    EXACT = "exact"  # equal without case, white space and punctuation
    NEAR = "near"


DOCUMENT: Final = pl.Schema(
    {
        "doc_id": pl.String,
        "lang": pl.String,
        "source_rank": pl.Int64,  # 0 is the best
        "received": pl.Date,
        "delivery": pl.String,
        "already_kept": pl.Boolean,  # the earlier index version's decision, null when it had none
        "earlier_duplicate_of": pl.String,  # the survivor then, null unless dropped then
        "signature": pl.Binary,
        "exact_hash": pl.Binary,
    }
)

DECISION: Final = pl.Schema(
    {
        "doc_id": pl.String,
        "kept": pl.Boolean,
        "duplicate_of": pl.String,  # the survivor's doc_id, null when kept
        "similarity": pl.Float64,  # to the survivor: 1 when exact, else estimated; null when kept
        "kind": pl.String,  # a Kind value, null when kept
    }
)


def find_duplicates(documents: pl.DataFrame, group: GroupConfig, signature: SignatureConfig) -> pl.DataFrame:
    """Return a DECISION row for each DOCUMENT row, sorted by doc_id.

    A dropped document reaches its survivor through near-duplicates, so its own similarity to it can be below
    the threshold. Raises LineageError when a stored signature does not fit the configuration,
    ConservationError when a doc_id comes twice.
    """
    documents = documents.select(DOCUMENT.names()).cast(dict(DOCUMENT)).sort("doc_id")  # type: ignore[arg-type]
    values = minhash.from_binary(documents["signature"], signature.permutations)
    near = [
        _near_edges(values, rows.to_numpy(), group)
        for rows in _separate(documents, ["lang"] if group.by_language else [])
    ]
    pairs = pl.concat([*near, _exact_edges(documents, group), _earlier_edges(documents)])
    labels = components.components(documents.height, pairs["a"].to_numpy(), pairs["b"].to_numpy())
    choices = decide.decide(documents.with_columns(cluster=labels))
    return _describe(documents, choices, values)


def match_keys(documents: pl.DataFrame, group: GroupConfig, signature: SignatureConfig) -> pl.Series:
    """Return `keys`: what a duplicate of a document shares at least one of, a List of Int64 for each row.

    Needs the columns signature and exact_hash. A document without any letter has no key.
    """
    values = minhash.from_binary(documents["signature"], signature.permutations)
    bands = lsh.band_keys(values, group.bands, group.rows)
    hashes = documents["exact_hash"].bin.slice(0, 8).fill_null(b"\0" * 8).bin.reinterpret(dtype=pl.Int64)
    keys = pl.Series("keys", np.column_stack([hashes.to_numpy(), bands])).arr.to_list()
    empty = pl.Series(lsh.is_empty(values))
    return pl.select(keys=pl.when(empty).then(pl.lit([], pl.List(pl.Int64))).otherwise(keys)).to_series()


def neighbours(index: pl.LazyFrame, new: pl.DataFrame) -> pl.LazyFrame:
    """Return the rows of an index that a decision about new documents needs.

    `index` has doc_id, duplicate_of and keys, `new` has doc_id and keys. The answer has the index rows that
    share a key with a new document, the survivors of these, and the rows whose survivor is no longer in the
    index; none that is in `new`.
    """
    wanted = new.lazy().select("keys").explode("keys").drop_nulls().unique()
    others = index.join(new.lazy().select("doc_id"), on="doc_id", how="anti")
    touched = (
        others.select("doc_id", "duplicate_of", "keys").explode("keys").join(wanted, on="keys", how="semi")
    )
    orphaned = others.drop_nulls("duplicate_of").join(
        others.select("doc_id"), left_on="duplicate_of", right_on="doc_id", how="anti"
    )
    chosen = pl.concat(
        [
            touched.select("doc_id"),
            touched.select(doc_id="duplicate_of").drop_nulls(),
            orphaned.select("doc_id"),
        ]
    ).unique()
    return others.join(chosen, on="doc_id", how="semi")


def _separate(documents: pl.DataFrame, columns: list[str]) -> list[pl.Series]:
    """Return row numbers in ascending order, apart by the values of `columns`."""
    numbered = documents.select(*columns, row=pl.int_range(pl.len(), dtype=pl.Int64))
    parts = (
        numbered.partition_by(columns, maintain_order=True) if columns and documents.height else [numbered]
    )
    return [part["row"] for part in parts]


def _near_edges(values: minhash.Signatures, rows: components.Rows, group: GroupConfig) -> pl.DataFrame:
    found = lsh.edges(
        values if len(rows) == len(values) else values[rows],
        bands=group.bands,
        rows=group.rows,
        threshold=group.threshold,
        compared=group.compared,
    )
    return pl.DataFrame({"a": rows[found["a"].to_numpy()], "b": rows[found["b"].to_numpy()]})


def _exact_edges(documents: pl.DataFrame, group: GroupConfig) -> pl.DataFrame:
    same = ["exact_hash", "lang"] if group.by_language else ["exact_hash"]
    return (
        documents.select(*same, b=pl.int_range(pl.len()))
        .drop_nulls("exact_hash")
        .select(pl.col("b").first().over(same).alias("a"), "b")
        .filter(pl.col("a") != pl.col("b"))
    )


def _earlier_edges(documents: pl.DataFrame) -> pl.DataFrame:
    rows = documents.select("doc_id", "earlier_duplicate_of", row=pl.int_range(pl.len()))
    survivors = rows.select(earlier_duplicate_of="doc_id", a="row")
    return rows.join(survivors, on="earlier_duplicate_of", maintain_order="left").select("a", b="row")


def _describe(documents: pl.DataFrame, choices: pl.DataFrame, values: minhash.Signatures) -> pl.DataFrame:
    """Add similarity and kind to choices; `documents`, `choices` and `values` have the same order."""
    rows = documents.select("doc_id", "exact_hash", row=pl.int_range(pl.len()))
    survivors = rows.select(duplicate_of="doc_id", survivor_hash="exact_hash", survivor="row")
    dropped = choices.drop_nulls("duplicate_of").join(rows, on="doc_id", maintain_order="left")
    dropped = dropped.join(survivors, on="duplicate_of", maintain_order="left")
    estimated = minhash.similarity(values[dropped["row"].to_numpy()], values[dropped["survivor"].to_numpy()])
    equal = (pl.col("exact_hash") == pl.col("survivor_hash")).fill_null(False)
    described = dropped.select(
        "doc_id",
        similarity=pl.when(equal).then(1.0).otherwise(pl.Series(estimated)),
        kind=pl.when(equal).then(pl.lit(Kind.EXACT.value)).otherwise(pl.lit(Kind.NEAR.value)),
    )
    return choices.join(described, on="doc_id", how="left", maintain_order="left").select(DECISION.names())

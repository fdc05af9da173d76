"""The room's work on documents: their signatures, the group's decisions, and the documents that are left."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

from phoenix_assets.dedup import duplicates, exact, minhash
from phoenix_assets.dedup.config import GroupConfig, SignatureConfig
from phoenix_assets.errors import LineageError
from phoenix_assets.schema import Stage, StageOutput, ledger_rows

KERNEL_VERSION: Final = "1"

SIGNATURES: Final = pl.Schema(
    {
        "source": pl.String(),
        "delivery": pl.String(),
        "doc_id": pl.String(),
        "lang": pl.String(),
        "received": pl.Date(),
        "exact_hash": pl.Binary(),
        "signature": pl.Binary(),
    }
)
INDEX: Final = pl.Schema(
    {
        **SIGNATURES,
        "source_rank": pl.Int64(),  # 0 is the best
        "kept": pl.Boolean(),
        "duplicate_of": pl.String(),  # the survivor, null when kept
        "similarity": pl.Float64(),  # to the survivor, null when kept
        "kind": pl.String(),  # exact or near, null when kept
    }
)
_UNDECIDED: Final = ("kept", "duplicate_of", "similarity", "kind")


def signature_rows(documents: pl.DataFrame, *, received: date, signature: SignatureConfig) -> StageOutput:
    """Return SIGNATURES rows for documents (doc_id, source, delivery, lang, text)."""
    rows = documents.select(
        "source",
        "delivery",
        "doc_id",
        "lang",
        received=pl.lit(received, pl.Date),
        exact_hash=exact.exact_hash(documents["text"]),
        signature=minhash.to_binary(minhash.signatures(documents["text"], signature)),
    )
    return StageOutput(rows.select(SIGNATURES.names()))


def with_earlier_decisions(
    signatures: pl.DataFrame, earlier: pl.DataFrame, ranks: Mapping[str, int]
) -> pl.DataFrame:
    """Return INDEX rows for SIGNATURES rows: decided where `earlier` INDEX rows decided, else still undecided."""
    rank = pl.col("source").replace_strict(ranks, return_dtype=pl.Int64)
    decided = earlier.select("doc_id", *_UNDECIDED)
    return (
        signatures.with_columns(source_rank=rank).join(decided, on="doc_id", how="left").select(INDEX.names())
    )


def decide_index(rows: pl.DataFrame, group: GroupConfig, signature: SignatureConfig) -> pl.DataFrame:
    """Return INDEX rows with every decision made, sorted by source, delivery and doc_id.

    `rows` are INDEX rows; those that an earlier index version decided carry its decision, which is never displaced.
    """
    candidates = rows.rename({"kept": "already_kept", "duplicate_of": "earlier_duplicate_of"})
    decisions = duplicates.find_duplicates(candidates.select(duplicates.DOCUMENT.names()), group, signature)
    decided = rows.drop(_UNDECIDED).join(decisions, on="doc_id", how="left")
    return decided.select(INDEX.names()).sort("source", "delivery", "doc_id")


def revisions(earlier: pl.DataFrame, decided: pl.DataFrame) -> pl.DataFrame:
    """Return the decisions (doc_id, kept, duplicate_of) that differ from an earlier index version's."""
    columns = ["doc_id", "kept", "duplicate_of"]
    both = earlier.select(columns).join(decided.select(columns), on="doc_id", suffix="_now")
    changed = pl.col("kept").ne_missing(pl.col("kept_now")) | pl.col("duplicate_of").ne_missing(
        pl.col("duplicate_of_now")
    )
    return (
        both.filter(changed).select("doc_id", kept="kept_now", duplicate_of="duplicate_of_now").sort("doc_id")
    )


def drop_duplicates(documents: pl.DataFrame, decisions: pl.DataFrame) -> StageOutput:
    """Return the documents that the index keeps; the dropped ones name their survivor in the ledger.

    Raises LineageError when the index holds no decision on one of the documents.
    """
    decided = documents.join(
        decisions.select("doc_id", "kept", "duplicate_of", "kind"),
        on="doc_id",
        how="left",
        maintain_order="left",
    )
    undecided = decided["kept"].null_count()
    if undecided:
        raise LineageError(
            f"the dedup index has not seen {undecided} of {documents.height} documents; materialise it first"
        )
    ledger = ledger_rows(
        decided,
        Stage.DEDUPED,
        kept=pl.col("kept"),
        drop_reason=pl.when("kept").then(pl.lit("success")).otherwise(pl.col("kind") + "_duplicate"),
        duplicate_of=pl.col("duplicate_of"),
        chars_out=pl.when("kept").then(pl.col("text").str.len_chars()).otherwise(0),
    )
    return StageOutput(decided.filter("kept").select(documents.columns), ledger)

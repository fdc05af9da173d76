"""The room's work on documents: their signatures, the group's decisions, and the documents that are left."""

from datetime import date
from typing import Final

import polars as pl

from phoenix_assets.dedup import exact, minhash, urls
from phoenix_assets.dedup.config import Granularity, PrintsConfig
from phoenix_assets.errors import LineageError
from phoenix_assets.schema import KEPT, Stage, StageOutput, ledger_rows

KERNEL_VERSION: Final = "2"

SIGNATURES: Final = pl.Schema(
    {
        "source": pl.String(),
        "delivery": pl.String(),
        "doc_id": pl.String(),
        "lang": pl.String(),
        "received": pl.Date(),
        "quality": pl.Float64(),  # higher is better, null when unknown
        "url_hash": pl.Binary(),  # of the canonical address, null without one
        "exact_hash": pl.Binary(),
        "signature": pl.Binary(),
    }
)
DECISION: Final = pl.Schema(
    {
        "doc_id": pl.String(),
        "source": pl.String(),
        "delivery": pl.String(),
        "kept": pl.Boolean(),
        "duplicate_of": pl.String(),  # what it stands behind at this granularity, null when kept
        "similarity": pl.Float64(),  # estimated, to what it stands behind; 1 when equal, null when kept
        "band": pl.Int16(),  # the first band shared with it; null when kept, or alike only through others
        "granularity": pl.String(),
        "number": pl.Int64(),  # in the index
    }
)


def signature_rows(documents: pl.DataFrame, *, received: date, config: PrintsConfig) -> StageOutput:
    """Return SIGNATURES rows for documents (doc_id, source, delivery, lang, url, text, and the column of the quality)."""
    worth = pl.col(config.quality.column).cast(pl.Float64).fill_nan(None)
    rows = documents.select(
        "source",
        "delivery",
        "doc_id",
        "lang",
        received=pl.lit(received, pl.Date),
        quality=-worth if config.quality.better == "lower" else worth,
        url_hash=urls.url_hash(documents["url"], config.tracking_parameters),
        exact_hash=exact.exact_hash(documents["text"]),
        signature=minhash.to_binary(minhash.signatures(documents["text"], config.signature)),
    )
    return StageOutput(rows.select(SIGNATURES.names()))


def decision_rows(
    decided: pl.DataFrame, granularity: Granularity, source: str, delivery: str
) -> pl.DataFrame:
    """Return DECISION rows for an index's DECIDED rows of one delivery."""
    return decided.select(
        "doc_id",
        pl.lit(source).alias("source"),
        pl.lit(delivery).alias("delivery"),
        "kept",
        "duplicate_of",
        "similarity",
        "band",
        pl.lit(granularity.value).alias("granularity"),
        "number",
    ).cast(dict(DECISION))  # type: ignore[arg-type]


def drop_duplicates(documents: pl.DataFrame, decisions: pl.DataFrame) -> StageOutput:
    """Return the documents that every index keeps; the dropped ones name in the ledger what they stand behind.

    `decisions` are DECISION rows of all granularities: one that dropped a document hid it from the next ones. Raises
    LineageError when a document is neither dropped nor decided on by the last of them.
    """
    final = decisions.filter(~pl.col("kept") | (pl.col("granularity") == list(Granularity)[-1].value))
    decided = documents.join(
        final.select("doc_id", "kept", "duplicate_of", "granularity"),
        on="doc_id",
        how="left",
        maintain_order="left",
    )
    undecided = decided["kept"].null_count()
    if undecided:
        raise LineageError(
            f"the dedup indexes have not seen {undecided} of {documents.height} documents; materialise them first"
        )
    ledger = ledger_rows(
        decided,
        Stage.DEDUPED,
        kept=pl.col("kept"),
        drop_reason=pl.when("kept").then(pl.lit(KEPT)).otherwise(pl.col("granularity") + "_duplicate"),
        duplicate_of=pl.col("duplicate_of"),
        chars_out=pl.when("kept").then(pl.col("text").str.len_chars()).otherwise(0),
    )
    return StageOutput(decided.filter("kept").select(documents.columns), ledger)

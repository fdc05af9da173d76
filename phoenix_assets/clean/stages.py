"""The two stages of the room as kernels: documents in; documents, ledger rows and reasons out."""

from typing import Final

import polars as pl

from phoenix_assets.clean.config import FilterProfile, NormalizeConfig
from phoenix_assets.clean.funnel import FunnelModels, funnel
from phoenix_assets.clean.normalize import normalize
from phoenix_assets.schema import DOCUMENT, KEPT, Stage, StageOutput, ledger_rows

KERNEL_VERSION: Final = "1"

EMPTY_TEXT: Final = "empty_after_normalization"
FILTERED: Final = pl.Schema(
    {
        **DOCUMENT,
        "lang_score": pl.Float64(),  # fastText probability of `lang`
        "perplexity": pl.Float64(),  # KenLM; null where no model knows the language
    }
)


def normalize_documents(documents: pl.DataFrame, config: NormalizeConfig) -> StageOutput:
    """Normalise `text` and `title` of DOCUMENT rows; a document with nothing left is dropped with a reason."""
    text = normalize(documents["text"], config)
    after = documents.with_columns(text=text, title=normalize(documents["title"], config))
    kept = pl.col("text").str.len_bytes() > 0
    reason = pl.when(kept).then(pl.lit(KEPT)).otherwise(pl.lit(EMPTY_TEXT))
    before = documents["text"].str.len_chars()
    ledger = ledger_rows(after, Stage.NORMALIZED, kept=kept, drop_reason=reason, chars_in=before)
    return StageOutput(after.filter(kept).select(DOCUMENT.names()), ledger)


def filter_documents(documents: pl.DataFrame, profile: FilterProfile, models: FunnelModels) -> StageOutput:
    """Run the funnel over DOCUMENT rows: FILTERED rows of the kept ones, all rules' values in the ledger."""
    verdicts = funnel(documents, profile, models)
    joined = documents.drop("lang").with_columns(verdicts.drop("doc_id"))
    ledger = ledger_rows(
        joined,
        Stage.FILTERED,
        kept=pl.col("kept"),
        drop_reason=pl.col("drop_reason"),
        rules_name=pl.col("rules_name"),
        rules_value=pl.col("rules_value"),
        rules_cond=pl.col("rules_cond"),
        chars_out=pl.when("kept").then(pl.col("text").str.len_chars()).otherwise(0),
    )
    return StageOutput(joined.filter("kept").select(FILTERED.names()), ledger)

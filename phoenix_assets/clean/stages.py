"""The two stages of the room as kernels: documents in; documents, ledger rows and reasons out."""

from pathlib import Path
from typing import Final

import polars as pl

from phoenix_assets.clean.config import NormalizeConfig
from phoenix_assets.clean.funnel import FunnelModels, funnel, load_lid
from phoenix_assets.clean.normalize import normalize
from phoenix_assets.clean.paragraphs import remove_foreign_paragraphs
from phoenix_assets.clean.personal_candidates import KINDS
from phoenix_assets.clean.personal_data import mask_personal_data
from phoenix_assets.clean.profiles import FilterProfile
from phoenix_assets.errors import ConfigError
from phoenix_assets.schema import DOCUMENT, KEPT, Stage, StageOutput, ledger_rows

KERNEL_VERSION: Final = "3"

EMPTY_TEXT: Final = "empty_after_normalization"
FOREIGN_PARAGRAPHS: Final = "foreign_paragraphs"
FOREIGN_CHARACTERS: Final = "foreign_characters"
MASKED: Final = "masked_"  # before the kind
FILTERED: Final = pl.Schema(
    {
        **DOCUMENT,
        "lang_score": pl.Float64(),  # fastText probability of `lang`
        "perplexity": pl.Float64(),  # KenLM; null where no model knows the language
        "safety": pl.String(),  # the label that comes first, "" without one
    }
)


def normalize_documents(
    documents: pl.DataFrame, config: NormalizeConfig, lid: Path | None = None
) -> StageOutput:
    """Normalise `text` and `title` of DOCUMENT rows; a document with nothing left is dropped with a reason.

    `lid` is where the language identification model is; without `foreign_paragraphs` in `config` none is needed. The
    ledger's `rules_value` has what was removed and masked in each document, the counts have the sums.
    """
    text = normalize(documents["text"], config)
    title = normalize(documents["title"], config)
    done: dict[str, pl.Series] = {}
    if config.foreign_paragraphs:
        text, removed = _without_foreign(text, config, lid)
        done |= removed
    if config.masking:
        text, masked = _masked(text, config)
        title, in_title = _masked(title, config)
        done |= {name: masked[name] + in_title[name] for name in masked}
    after = documents.with_columns(text=text, title=title)
    kept = pl.col("text").str.len_bytes() > 0
    ledger = ledger_rows(
        after,
        Stage.NORMALIZED,
        kept=kept,
        drop_reason=pl.when(kept).then(pl.lit(KEPT)).otherwise(pl.lit(EMPTY_TEXT)),
        chars_in=documents["text"].str.len_chars(),
        rules_name=pl.lit(list(done), dtype=pl.List(pl.String)),
        rules_value=_lists(done, pl.Float64()),
        rules_cond=pl.lit([True] * len(done), dtype=pl.List(pl.Boolean)),
    )
    counts = {name: int(values.sum()) for name, values in done.items()}
    return StageOutput(after.filter(kept).select(DOCUMENT.names()), ledger, counts=counts)


def _without_foreign(
    text: pl.Series, config: NormalizeConfig, lid: Path | None
) -> tuple[pl.Series, dict[str, pl.Series]]:
    if config.foreign_paragraphs is None or lid is None:
        raise ConfigError(
            "foreign_paragraphs are to be removed, but there is no language identification model"
        )
    pruned = remove_foreign_paragraphs(text, load_lid(lid), config.foreign_paragraphs)
    return pruned.texts, {
        FOREIGN_PARAGRAPHS: pl.Series(pruned.paragraphs),
        FOREIGN_CHARACTERS: pl.Series(pruned.characters),
    }


def _masked(text: pl.Series, config: NormalizeConfig) -> tuple[pl.Series, dict[str, pl.Series]]:
    if config.masking is None:
        return text, {}
    masked = mask_personal_data(text, config.masking)
    kinds = (kind for kind in KINDS if kind in config.masking.kinds)
    return masked.texts, {
        f"{MASKED}{kind.value}": pl.Series(masked.counts[:, KINDS.index(kind)]) for kind in kinds
    }


def _lists(columns: dict[str, pl.Series], dtype: pl.DataType) -> pl.Expr:
    """Return a list of one value of each column for each row."""
    if not columns:
        return pl.lit([], dtype=pl.List(dtype))
    return pl.concat_list([pl.lit(values.cast(dtype)) for values in columns.values()])


def filter_documents(documents: pl.DataFrame, profile: FilterProfile, models: FunnelModels) -> StageOutput:
    """Run the funnel over DOCUMENT rows: FILTERED rows of the kept ones, all rules' values in the ledger.

    The counts have how many documents, kept or not, have which safety label.
    """
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
    labels = joined.filter(pl.col("safety") != "")["safety"].value_counts()
    counts = {f"safety_{label}": count for label, count in sorted(labels.iter_rows())}
    return StageOutput(joined.filter("kept").select(FILTERED.names()), ledger, counts=counts)

"""The tagging stage as a kernel: FILTERED documents in, TAGGED documents and ledger rows out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from phoenix_assets.schema import DOCUMENT, Stage, StageOutput, ledger_rows
from phoenix_assets.tag.config import TagConfig
from phoenix_assets.tag.quality import score_quality
from phoenix_assets.tag.tags import tag

KERNEL_VERSION: Final = "2"

TAGGED: Final = pl.Schema(
    {
        **DOCUMENT,
        "lang_score": pl.Float64(),
        "perplexity": pl.Float64(),
        "safety": pl.String(),  # the filter stage's label, "" without one
        "quality": pl.Float64(),  # in [0, 1]; null for a language that the classifier does not know
        "tags": pl.List(pl.String()),
    }
)


def tag_documents(
    documents: pl.DataFrame, config: TagConfig, kinds: Mapping[str, str], model: Path
) -> StageOutput:
    """Add quality and tags; every document is kept. `kinds` has the kind of each source."""
    quality = score_quality(documents["text"], documents["lang"], model, config.quality)
    tagged = tag(documents, quality, config, kinds).select(TAGGED.names())
    return StageOutput(tagged, ledger_rows(tagged, Stage.TAGGED))

"""Tags: short `name:value` strings by which mixtures choose documents."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from phoenix_assets.errors import ConfigError
from phoenix_assets.tag.config import TagConfig

KERNEL_VERSION: Final = "2"


def tag(
    documents: pl.DataFrame, quality: pl.Series, config: TagConfig, kinds: Mapping[str, str]
) -> pl.DataFrame:
    """Return `documents` (with source, lang and safety) and two more columns, `quality` and `tags`.

    `quality`: Float64 in [0, 1], null where not scored. `tags`: List[String], always `lang:<code>`
    (`lang:unknown` before identification), `kind:<kind>` from `kinds` by source, `quality:<level>`
    (`quality:unscored` without a score) and `safety:<label>` (`safety:none` without one), in this order. Raises ConfigError for a source without a kind.
    """
    unknown = documents.filter(~pl.col("source").is_in(list(kinds)))["source"].unique().sort()
    if len(unknown):
        raise ConfigError(
            f"no kind for source {unknown.to_list()}; give each one in its file under config/sources"
        )
    lang = pl.when(pl.col("lang").fill_null("") == "").then(pl.lit("unknown")).otherwise("lang")
    return documents.with_columns(quality=quality.cast(pl.Float64)).with_columns(
        tags=pl.concat_list(
            pl.format("lang:{}", lang),
            pl.format("kind:{}", pl.col("source").replace_strict(dict(kinds), return_dtype=pl.String)),
            pl.format("quality:{}", _level(config.quality_levels)),
            pl.format("safety:{}", pl.when(pl.col("safety") == "").then(pl.lit("none")).otherwise("safety")),
        )
    )


def _level(levels: dict[str, float]) -> pl.Expr:
    from_the_top = sorted(levels.items(), key=lambda level: -level[1])
    reached = (pl.when(pl.col("quality") >= bound).then(pl.lit(name)) for name, bound in from_the_top)
    return pl.coalesce(*reached, pl.lit("unscored"))

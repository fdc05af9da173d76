"""Checks of the room: every way of loading the tokenizer encodes alike."""

from pathlib import Path

import dagster as dg
import polars as pl

from phoenix_assets.config import config_dir, load
from phoenix_assets.tokens.config import OddStrings, TokenizerConfig
from resources.report import sample_table

SAME_IDS = "every_loader_gives_the_same_ids"
_SHOWN = 5  # texts of a loader that differs


def loaders_agree(
    asset: dg.AssetKey, folder: Path, settings: TokenizerConfig, texts: pl.Series
) -> dg.AssetCheckResult:
    """Return whether the tokenizer in `folder` encodes odd strings and lines of `texts` alike, however it is loaded."""
    from phoenix_assets.tokens.parity import compared_texts, differences, load_every_way

    odd = load(OddStrings, config_dir() / "odd_strings.yaml").all()
    compared = compared_texts(folder, odd, texts, settings.checked_lines)
    loaded = load_every_way(folder, settings.eod)
    found = differences(compared, loaded.encoders, _SHOWN)
    failed = pl.DataFrame({"loader": list(loaded.failed), "reason": list(loaded.failed.values())})
    return dg.AssetCheckResult(
        passed=found.is_empty(),
        asset_key=asset,
        check_name=SAME_IDS,
        metadata={
            "texts": len(compared),
            "loaders": ", ".join(loaded.encoders),
            "differences": sample_table(found),
            "not_loaded": sample_table(failed),
        },
    )

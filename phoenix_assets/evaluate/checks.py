"""Checks of the room: what a checkpoint is judged on was never trained on."""

import dagster as dg
import polars as pl

from resources.build import Build
from resources.token_inputs import trace_index

HELD_OUT = "held_out_documents_are_not_trained_on"


def held_out_is_excluded(build: Build, mixture: str, tokens: str) -> dg.AssetCheckResult:
    """Return whether no held-out document of `mixture`, by id, stands in the token shards `tokens` that the run read."""
    held_out = build.read(f"mix/{mixture}").filter(pl.col("split") == "heldout").select("doc_id").collect()
    read = build.input(tokens)
    trained = pl.concat([trace_index(build, read, split).doc_ids() for split in ("train", "validation")])
    both = held_out.filter(pl.col("doc_id").is_in(trained.implode()))
    return dg.AssetCheckResult(
        passed=both.is_empty() and not held_out.is_empty(),
        check_name=HELD_OUT,
        asset_key=dg.AssetKey(build.asset.split("/")),
        metadata={"held_out_documents": held_out.height, "in_the_token_shards": both.height},
    )

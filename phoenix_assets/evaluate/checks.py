"""Checks of the room: what a checkpoint is judged on was never trained on."""

import dagster as dg
import polars as pl

from resources.build import Build

HELD_OUT = "held_out_documents_are_not_trained_on"


def held_out_is_excluded(build: Build, mixture: str) -> dg.AssetCheckResult:
    """Return whether no held-out document, by id, stands in the token shards that the run read."""
    held_out = build.read(f"mix/{mixture}").filter(pl.col("split") == "heldout").select("doc_id").collect()
    trained = build.read(f"tokens/{mixture}").select("doc_id", "split").collect()
    both = held_out.join(trained, on="doc_id", how="semi")
    return dg.AssetCheckResult(
        passed=both.is_empty() and not held_out.is_empty(),
        check_name=HELD_OUT,
        asset_key=dg.AssetKey(build.asset.split("/")),
        metadata={"held_out_documents": held_out.height, "in_the_token_shards": both.height},
    )

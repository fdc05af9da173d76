"""An erasure, once a person has ordered it: tombstones, marks on what saw it, and the runs that take it out."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import dagster as dg
import polars as pl
from dagster import AssetKey

from phoenix_assets.ingest.erasure import is_whole
from phoenix_assets.schema import Stage
from resources.declare import AUTOMATION_TAG, Automation
from resources.erasures import order
from resources.frozen import frozen_mixtures
from resources.phoenix import Phoenix
from resources.planner import Planner
from resources.runs import bring_up_to_date
from resources.storage_budget import StorageBudget, load_storage

_LEFT_ALONE: Final = {"train", "order", "search", "evaluate"}  # rooms whose assets a person asks for
_BY_COMMAND: Final = ""  # no run makes a tombstone


def order_erasure(
    phoenix: Phoenix, planner: Planner, rows: pl.DataFrame, plan: Mapping[str, Any], now: datetime
) -> None:
    """Write TOMBSTONE rows, mark what saw the documents, and delete the landed files of deliveries erased as a whole."""
    instance = planner.instance
    said = {"erasure": rows["erasure"][0], "reason": rows["reason"][0]}
    seen_by = {**said, "mixtures": plan["mixtures"], "runs": plan["runs"]}
    for stored in order(phoenix.ledger, rows, _BY_COMMAND, seen_by):
        record = stored.record
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                AssetKey(record.asset.split("/")),
                partition=record.partition,
                metadata={"tombstones": record.counts["rows_out"], "reason": rows["reason"][0]},
                tags={"dagster/data_version": record.data_version},
            )
        )
    _mark(instance, said, plan)
    budget = StorageBudget(phoenix.path, load_storage())
    for (source, delivery), part in rows.partition_by("source", "delivery", as_dict=True).items():
        folder = phoenix.landing / str(source) / str(delivery)
        if is_whole(part) and folder.is_dir():
            budget.delete(folder, now)


def _mark(instance: dg.DagsterInstance, said: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """Say on the pages of mixtures, runs and checkpoints what of them was erased; what the lake says is what counts."""
    for row in plan["mixtures"]:
        tokens = {"documents": row["documents"], "estimated_tokens": row["estimated_tokens"]}
        if row["withdrawn"]:
            _observe(instance, row["mixture"], None, {**said, "withdrawn": True, **tokens})
    for row in plan["runs"]:
        steps = sum(one["seen_in"] for one in row["steps"] if one)
        _observe(instance, row["run"], None, {**said, "tokens_seen": row["tokens_seen"], "steps": steps})
        checkpoints = row["run"].replace("train/", "checkpoints/", 1)
        for step, tokens in row["checkpoints"].items():
            partition = f"step-{int(step):06d}"
            _observe(instance, checkpoints, partition, {**said, "withdrawn": True, "tokens_seen": tokens})


def _observe(
    instance: dg.DagsterInstance, asset: str, partition: str | None, metadata: Mapping[str, Any]
) -> None:
    key = AssetKey(asset.split("/"))
    instance.report_runless_asset_event(dg.AssetObservation(key, partition=partition, metadata=metadata))


def bring_up_without(planner: Planner, rows: pl.DataFrame, report: Callable[[str], object]) -> int:
    """Make again what stands on the erased documents and is open; return how many partitions were made."""
    starts = {AssetKey([source, Stage.EXTRACTED.value]) for source in rows["source"].unique()}
    there = set(planner.ledger.all_heads())
    frozen = {f"{room}/{name}" for name in frozen_mixtures(planner.ledger.lake) for room in ("mix", "tokens")}
    found: set[str] = set()
    frontier = starts
    while frontier:
        found |= {key.to_user_string() for key in frontier}
        below = {child for key in frontier for child in planner.graph.get(key).child_keys}
        frontier = {
            key
            for key in below
            if key.to_user_string() in there - found - frozen and _is_made_again(planner, key)
        }
    return bring_up_to_date(planner, found, report)


def _is_made_again(planner: Planner, key: AssetKey) -> bool:
    tags = planner.graph.get(key).tags
    return tags["room"] not in _LEFT_ALONE and tags[AUTOMATION_TAG] != Automation.WHEN_MISSING

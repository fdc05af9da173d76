"""Pools cap what is at work at once, by what it needs most."""

from pathlib import Path

import dagster as dg
import pytest

from phoenix_assets.definitions import defs
from resources.instance import prepare_instance, with_limits

GRAPH = defs.get_repository_def().asset_graph


@pytest.mark.parametrize(
    ("asset", "pool"),
    [
        ("cc/filtered", "cpu"),
        ("cc/deduped", "cpu"),
        ("tokens/v3", "cpu"),
        ("mix/v3", "memory"),
        ("train/demo", "training"),
        ("dedup/general/near", "dedup_general"),  # one at a time: the next one reads what it wrote
        ("cc/raw", None),  # a delivery is registered whatever else is at work
    ],
)  # fmt: skip
def test_heavy_work_is_in_a_pool(asset: str, pool: str | None) -> None:
    assert GRAPH.get(dg.AssetKey(asset.split("/"))).pools == ({pool} if pool else set())


def test_a_new_instance_has_the_configured_limits_and_keeps_what_people_change(tmp_path: Path) -> None:
    with with_limits(dg.DagsterInstance.from_config(str(prepare_instance(tmp_path)))) as instance:
        storage = instance.event_log_storage
        limits = {one.name: one.limit for one in storage.get_pool_limits()}
        assert (limits["cpu"], limits["memory"], limits["training"]) == (2, 1, 1)
        storage.set_concurrency_slots("cpu", 7)
    with with_limits(dg.DagsterInstance.from_config(str(prepare_instance(tmp_path)))) as instance:
        assert {one.name: one.limit for one in instance.event_log_storage.get_pool_limits()}["cpu"] == 7

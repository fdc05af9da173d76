"""Backfills are asked for in Dagster's own terms: which partitions of which assets."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from phoenix_assets.definitions import defs
from phoenix_assets.errors import PhoenixError
from resources.backfills import request, retry, scope

CRAWLS = ["CC-MAIN-2023-50-000", "CC-MAIN-2024-22-000", "CC-MAIN-2024-26-000"]
GRAPH = defs.get_repository_def().asset_graph


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("cc_deliveries", CRAWLS)
        instance.add_dynamic_partitions("wiki_deliveries", ["enwiki-2024"])
        yield instance


def names(keys) -> set[str]:
    return {key.to_user_string() for key in keys}


def test_one_stage_of_a_range_of_snapshots(instance: dg.DagsterInstance) -> None:
    found = scope(GRAPH, instance, ["cc/filtered"], deliveries="CC-MAIN-2024-*")
    assert found.partitions == {dg.AssetKey(["cc", "filtered"]): frozenset(CRAWLS[1:])}
    assert not found.whole


def test_a_stage_and_everything_after_it_leaves_other_sources_models_and_training_out(
    instance: dg.DagsterInstance,
) -> None:
    found = scope(GRAPH, instance, ["cc/filtered"], downstream=True)
    assert {"cc/filtered", "cc/signatures", "cc/deduped", "cc/trimmed", "cc/tagged"} <= names(
        found.partitions
    )
    assert {name.partition("/")[0] for name in names(found.partitions)} == {"cc"}
    assert {"dedup/general/near", "mix/v3", "tokens/v3"} <= names(found.whole)
    assert not {"models/quality", "models/kenlm_zh", "train/demo"} & names(found.whole)
    assert found.count == len(found.partitions) * len(CRAWLS) + len(found.whole)


def test_unpartitioned_assets_are_made_as_a_whole(instance: dg.DagsterInstance) -> None:
    assert names(scope(GRAPH, instance, ["mix/v3"]).whole) == {"mix/v3"}


def test_what_is_not_there_is_refused_by_name(instance: dg.DagsterInstance) -> None:
    with pytest.raises(PhoenixError, match="cc/nonsense"):
        scope(GRAPH, instance, ["cc/nonsense"])
    with pytest.raises(PhoenixError, match="CC-MAIN-1999"):
        scope(GRAPH, instance, ["cc/filtered"], deliveries="CC-MAIN-1999-*", downstream=True)
    with pytest.raises(PhoenixError, match="that failed"):
        scope(GRAPH, instance, ["cc/filtered"], failed=True)


def test_only_partitions_whose_newest_run_failed_are_made_again(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="cc_deliveries"))
    def stage(context: dg.AssetExecutionContext) -> None:
        if context.partition_key == CRAWLS[1]:
            raise ValueError("unreadable")

    for crawl in CRAWLS[:2]:
        dg.materialize([stage], partition_key=crawl, instance=instance, raise_on_error=False)
    graph = dg.Definitions(assets=[stage]).get_repository_def().asset_graph
    assert scope(graph, instance, ["stage"], failed=True).partitions == {stage.key: frozenset(CRAWLS[1:2])}


def test_the_daemon_is_asked_for_exactly_the_scope(instance: dg.DagsterInstance) -> None:
    wanted = scope(GRAPH, instance, ["cc/filtered"], deliveries="CC-MAIN-2024-*", downstream=True)
    backfill = instance.get_backfill(request(instance, wanted, "cc again"))
    assert backfill is not None
    target = backfill.get_asset_backfill_data(GRAPH).target_subset
    assert target.num_partitions_and_non_partitioned_assets == wanted.count
    assert set(target.get_partitions_subset(dg.AssetKey(["cc", "tagged"])).get_partition_keys()) == set(
        CRAWLS[1:]
    )
    assert (backfill.title, backfill.status) == ("cc again", BulkActionStatus.REQUESTED)


def test_a_retry_asks_for_what_was_not_made_and_knows_whose_it_is(instance: dg.DagsterInstance) -> None:
    wanted = scope(GRAPH, instance, ["cc/filtered"])
    first = request(instance, wanted, "cc again")
    with pytest.raises(PhoenixError, match="still at work"):
        retry(instance, GRAPH, first)
    backfill = instance.get_backfill(first)
    assert backfill is not None
    instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELED))
    second = instance.get_backfill(retry(instance, GRAPH, first))
    assert second is not None
    target = second.get_asset_backfill_data(GRAPH).target_subset
    assert target.num_partitions_and_non_partitioned_assets == len(CRAWLS)
    assert second.tags["dagster/parent_backfill_id"] == first
    with pytest.raises(PhoenixError, match="no backfill"):
        retry(instance, GRAPH, "nonsense")

"""Bring asset partitions up to date in this process: plan, run what is ready, plan again."""

from collections.abc import Callable, Collection, Mapping

import dagster as dg

from phoenix_assets.errors import PhoenixError
from resources.planner import Batch, Planner
from resources.work import WHY_TAG, WORK_TAG

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # the UI has every event


def bring_up_to_date(
    planner: Planner, assets: Collection[str] | None = None, report: Callable[[str], object] = print
) -> int:
    """Materialise what is stale of `assets` (default: of all) until nothing is; return how many partitions were made.

    Raises PhoenixError naming the runs that failed.
    """
    made = 0
    while todo := planner.stale(assets):
        batches = planner.ready(todo)
        failures = [failure for batch in batches if (failure := _run(planner, batch, report))]
        if failures:
            raise PhoenixError("\n".join(failures))
        made += sum(len(batch.items) for batch in batches)
    return made


def tags(batch: Batch) -> dict[str, str]:
    """Return the tags of a run that makes `batch`: why, and the identity of its work."""
    return {WHY_TAG: batch.items[0].reason[:200], WORK_TAG: batch.key}


def make(planner: Planner, asset: str, run_tags: Mapping[str, str]) -> None:
    """Materialise an unpartitioned asset, fresh or not, in a run with these tags. Raises PhoenixError when it fails."""
    if failure := _execute(planner, [dg.AssetKey(asset.split("/"))], "", run_tags):
        raise PhoenixError(failure)


def _run(planner: Planner, batch: Batch, report: Callable[[str], object]) -> str:
    names = ", ".join(item.asset for item in batch.items)
    report(f"{f'[{batch.partition}] ' if batch.partition else ''}{names}  ({batch.items[0].reason})")
    return _execute(planner, batch.assets, batch.partition, tags(batch))


def _execute(planner: Planner, assets: list[dg.AssetKey], partition: str, run_tags: Mapping[str, str]) -> str:
    """Run a job of assets; return why it failed, "" when it did not."""
    result = planner.repository.get_implicit_global_asset_job_def().execute_in_process(
        asset_selection=assets,
        partition_key=partition or None,
        instance=planner.instance,
        raise_on_error=False,
        run_config=QUIET,
        tags=dict(run_tags),
    )
    if result.success:
        return ""
    errors = [event.message or "" for event in result.all_events if event.is_failure]
    causes = [
        error.cause.message if error.cause else error.message
        for event in result.all_events
        if event.is_step_failure and (error := event.step_failure_data.error)
    ]
    names = ", ".join(asset.to_user_string() for asset in assets)
    return f"run {result.run_id} of {names} [{partition}] failed: {'; '.join(causes or errors)}"

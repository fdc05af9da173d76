"""Bring asset partitions up to date in this process: plan, run what is ready, plan again."""

from collections.abc import Callable, Collection

from phoenix_assets.errors import PhoenixError
from resources.planner import Batch, Planner
from resources.work import WHY_TAG, WORK_TAG

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # the UI has every event


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


def _run(planner: Planner, batch: Batch, report: Callable[[str], object]) -> str:
    names = ", ".join(item.asset for item in batch.items)
    report(f"{f'[{batch.partition}] ' if batch.partition else ''}{names}  ({batch.items[0].reason})")
    result = planner.repository.get_implicit_global_asset_job_def().execute_in_process(
        asset_selection=batch.assets,
        partition_key=batch.partition or None,
        instance=planner.instance,
        raise_on_error=False,
        run_config=_QUIET,
        tags=tags(batch),
    )
    if result.success:
        return ""
    errors = [event.message or "" for event in result.all_events if event.is_failure]
    causes = [
        error.cause.message if error.cause else error.message
        for event in result.all_events
        if event.is_step_failure and (error := event.step_failure_data.error)
    ]
    return f"run {result.run_id} of {names} [{batch.partition}] failed: {'; '.join(causes or errors)}"

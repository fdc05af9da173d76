"""`phoenix gc`: what can be deleted under `$PHOENIX_HOME`, and its deletion."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from phoenix_assets.cli.home import as_json, open_lake
from phoenix_assets.cli.main import main

if TYPE_CHECKING:
    from resources.garbage import GarbagePlan


_MEGABYTE: Final = 10**6


@main.command()
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be deleted; delete nothing.")
@click.option("--yes", is_flag=True, help="Without asking.")
@click.option(
    "--hours", type=float, help="How recent must stay (default: config/gc.yaml); 0 only when nothing runs."
)
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def gc(only_plan: bool, yes: bool, hours: float | None, json: bool) -> None:
    """Delete what nothing newest or frozen stands on, and the texts of what was erased."""
    from phoenix_assets.errors import PhoenixError
    from resources.garbage import carry_out, load_garbage, plan
    from resources.storage_budget import StorageBudget, load_storage

    lake, ledger = open_lake()
    keep = load_garbage().keep_hours if hours is None else hours
    found = plan(lake, ledger, keep_hours=keep)
    storage, now = load_storage(), datetime.now(UTC)
    free_at = now + timedelta(days=storage.trash_days)
    click.echo(as_json(_values(found, free_at)) if json else "\n".join(_lines(found, free_at)))
    if only_plan or not found.doomed:
        return
    if not yes:
        click.confirm("Delete this?", abort=True)
    from resources.event_log import forget_samples, runs_at_work

    if keep == 0 and (working := runs_at_work(lake.home)):
        raise PhoenixError(
            f"runs are at work: {', '.join(working)}; wait for their end (cancel one whose process is gone in the UI), or leave --hours out"
        )
    carry_out(lake, found, StorageBudget(lake.home, storage), now)
    forgotten = forget_samples(lake, ledger)
    if not json:
        click.echo(f"deleted {_size(found.bytes)}, which come free on {free_at:%Y-%m-%d}")
        if forgotten:
            click.echo(f"{forgotten} runs that showed samples of erased texts are out of the event log")


def _values(found: "GarbagePlan", free_at: datetime) -> dict[str, Any]:
    return {
        "kind": "garbage",
        "bytes": found.bytes,
        "free_at": free_at.isoformat(timespec="seconds"),
        "delete": [
            {"place": one.place, "why": one.why.value, "files": len(one.files), "bytes": one.bytes}
            for one in found.doomed
        ],
        "pinned": dict(sorted(found.pinned.items())),
        "recent_bytes": found.recent_bytes,
        "unfinished": list(found.unfinished),
    }


def _lines(found: "GarbagePlan", free_at: datetime) -> Iterator[str]:
    for one in found.doomed:
        yield f"{one.place:<44}{len(one.files):>7,} files{_size(one.bytes):>12}  {one.why.value}"
    yield f"{'in all':<44}{sum(len(one.files) for one in found.doomed):>7,} files{_size(found.bytes):>12}"
    if found.bytes:
        yield f"the space comes free on {free_at:%Y-%m-%d %H:%M} UTC, when the trash is emptied"
    if found.pinned:
        named = sorted(found.pinned, key=lambda asset: -found.pinned[asset])[:5]
        largest = ", ".join(f"{asset} {_size(found.pinned[asset])}" for asset in named)
        yield f"pinned, behind what is newest or frozen: {_size(sum(found.pinned.values()))} ({largest})"
    if found.recent_bytes:
        yield f"recent, a run may use it: {_size(found.recent_bytes)}"
    for name in found.unfinished:
        yield f"NOT YET ERASED in {name}: its newest version still holds it; run `phoenix materialize`"


def _size(count: int) -> str:
    return f"{count / _MEGABYTE:,.2f} MB" if count >= _MEGABYTE / 10 else f"{count / 1000:,.1f} kB"

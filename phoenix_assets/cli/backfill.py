"""`phoenix backfill`: make partitions again, in the daemon. The UI shows what is asked for here, and cancels it."""

import click

from phoenix_assets.cli.home import open_planner
from phoenix_assets.cli.main import main


@main.group()
def backfill() -> None:
    """Ask the daemon (`make ui`) to make partitions, whether they are fresh or not."""


@backfill.command("request")
@click.argument("assets", nargs=-1, required=True)
@click.option("--deliveries", default="*", help="A pattern of partitions: 'CC-MAIN-2024-*' (default: all).")
@click.option("--downstream", is_flag=True, help="Also everything after ASSETS that is made by itself.")
@click.option("--failed", is_flag=True, help="Only partitions of ASSETS whose newest run failed.")
@click.option("--dry-run", is_flag=True, help="Say what would be made; ask for nothing.")
def backfill_request(
    assets: tuple[str, ...], deliveries: str, downstream: bool, failed: bool, dry_run: bool
) -> None:
    """Make ASSETS (paths such as cc/filtered) again: one stage, or with --downstream everything after it."""
    from resources.backfills import request, scope

    _, planner = open_planner()
    wanted = scope(
        planner.graph, planner.instance, assets, deliveries=deliveries, downstream=downstream, failed=failed
    )
    for key, partitions in wanted.partitions.items():
        click.echo(f"{key.to_user_string()}: {len(partitions)} partitions")
    for key in sorted(wanted.whole):
        click.echo(key.to_user_string())
    if not dry_run:
        after = " and what follows" if downstream else ""
        found = request(planner.instance, wanted, f"{', '.join(assets)}{after}, deliveries {deliveries}")
        click.echo(f"backfill {found}: {wanted.count} asset partitions")


@backfill.command("retry")
@click.argument("backfill_id")
def backfill_retry(backfill_id: str) -> None:
    """Make what backfill BACKFILL_ID has not made: what failed, what came after it, what was cancelled."""
    from resources.backfills import retry

    _, planner = open_planner()
    click.echo(f"backfill {retry(planner.instance, planner.graph, backfill_id)}")

"""`phoenix rebuild-index`: decide a dedup group anew."""

import click

from phoenix_assets.cli.home import open_planner
from phoenix_assets.cli.main import main


@main.command("rebuild-index")
@click.argument("group")
def rebuild_index(group: str) -> None:
    """Decide all documents of a dedup GROUP (see config/dedup.yaml) anew, by priority alone.

    An index decides what comes against what was kept before. This is for when a later delivery should have had a say:
    documents that were kept may be dropped, and what was made of them becomes stale.
    """
    from phoenix_assets.dedup.assets import REBUILD, index_keys
    from resources.runs import make

    _, planner = open_planner()
    for asset in index_keys(group):
        make(planner, asset, {REBUILD: "true"})
        click.echo(f"{asset} decided anew")

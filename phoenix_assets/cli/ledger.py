"""`phoenix ledger`: keep the lineage ledger."""

import click

from phoenix_assets.cli.home import open_phoenix
from phoenix_assets.cli.main import main


@main.group()
def ledger() -> None:
    """Keep the lineage ledger, an index over the records in the lake's own commits."""


@ledger.command("rebuild")
def ledger_rebuild() -> None:
    """Read every record of the lake again; the ledger needs nothing else."""
    click.echo(f"{open_phoenix().ledger.rebuild()} records")

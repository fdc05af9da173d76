"""`phoenix banding`: how a threshold of near-duplicate detection cuts signatures into bands."""

from typing import Final

import click

from phoenix_assets.cli.main import main

_SIMILARITIES: Final = range(50, 100, 5)  # per cent
_WIDTH: Final = 40  # characters


@main.command()
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True), required=True, help="Of similarity.")
@click.option(
    "--permutations", type=click.IntRange(2), help="Of a signature (default: those of config/dedup.yaml)."
)
def banding(threshold: float, permutations: int | None) -> None:
    """Print datasketch's choice of bands and rows for a threshold, and how many pairs are looked at with it.

    A group of config/dedup.yaml that names neither bands nor rows has just these.
    """
    from phoenix_assets.cli.terminal_histogram import bar
    from phoenix_assets.dedup.assets import load_dedup
    from phoenix_assets.dedup.banding import optimal_banding, share_compared

    values = permutations or load_dedup().signature.permutations
    bands, rows = optimal_banding(threshold, values)
    click.echo(f"{bands} bands x {rows} rows ({bands * rows} of {values} permutations)")
    click.echo("similarity  share of pairs that are compared")
    for percent in _SIMILARITIES:
        share = share_compared(percent / 100, bands, rows)
        click.echo(f"{percent / 100:>10.2f}  {share:>8.3%}  {bar(share * _WIDTH)}".rstrip())

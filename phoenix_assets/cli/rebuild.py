"""`phoenix rebuild`: make a dataset version again from the delivered files, and see whether it is the same."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main

if TYPE_CHECKING:
    from resources.phoenix import Phoenix
    from resources.rebuild import Compared, Rebuild


@main.command()
@click.argument("asset")
@click.option("--partition", default="", help="The delivery, where ASSET has one partition a delivery.")
@click.option(
    "--version", default="", help="Data version (or its beginning) or storage version; default: newest."
)
@click.option("--verify", is_flag=True, help="Compare every stage; exit status 1 when one differs.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the rebuilt lake here, in a new home.",
)
@click.option("--given", multiple=True, help="Take this asset from the lake as it is; may be repeated.")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def rebuild(
    asset: str,
    partition: str,
    version: str,
    verify: bool,
    to: Path | None,
    given: tuple[str, ...],
    json: bool,
) -> None:
    """Make a version of ASSET again from the delivered files, by its recorded code and configuration.

    Everything behind it is made again in a scratch lake. Trained models' experiments and downloads are not: they are
    taken from the lake, their content checked.
    """
    from resources.rebuild import find_version

    if not verify and to is None:
        raise click.UsageError("say --verify to compare, --to FOLDER to keep what is made, or both")
    phoenix = open_phoenix()
    target = find_version(phoenix.lake, asset, partition, version)
    done = []
    with _rebuild(phoenix, to, given) as work:
        for compared in work.run(target):
            done.append(compared)
            if not json:
                click.echo(_line(compared))
    click.echo(as_json(_values(done)) if json else _verdict(done))
    if verify and done[-1].difference:
        sys.exit(1)


@contextmanager
def _rebuild(phoenix: "Phoenix", to: Path | None, given: tuple[str, ...]) -> "Iterator[Rebuild]":
    """Give a rebuild into `to`, or into a folder that is removed afterwards."""
    from phoenix_assets.definitions import defs
    from resources.rebuild import Rebuild, is_given
    from resources.recorded_code import CodeHere, RecordedCode

    graph = defs.get_repository_def().asset_graph
    taken = {asset for asset in phoenix.lake.assets() if is_given(graph, asset)} | set(given)
    with phoenix.lake.scratch() as scratch, tempfile.TemporaryDirectory() as unpacked:
        home = to or Path(scratch) / "home"
        home.mkdir(parents=True)
        code = RecordedCode(CodeHere(defs), phoenix.lake, Path(unpacked))
        try:
            yield Rebuild(phoenix.ledger, phoenix.landing, code, home, taken)
        finally:
            code.close()


def _line(compared: "Compared") -> str:
    verdict = "DIFFERS" if compared.difference else "taken as it is" if compared.taken else "the same"
    version = compared.stored.record.data_version[:12]
    return f"{compared.name:<60}{version:<14}{compared.rows:>12,} rows  {verdict}"


def _verdict(done: "list[Compared]") -> str:
    last = done[-1]
    if last.difference:
        return f"first difference: {last.name} {last.stored.record.data_version}: {last.difference}"
    made = [one for one in done if not one.taken]
    return (
        f"{last.name} {last.stored.record.data_version} is bit-identical: {len(made)} materialisations,"
        f" {sum(one.rows for one in made):,} rows made again"
    )


def _values(done: "list[Compared]") -> dict[str, Any]:
    last = done[-1]
    stages = [
        {
            "asset": one.stored.record.asset,
            "partition": one.stored.record.partition,
            "data_version": one.stored.record.data_version,
            "storage_version": one.stored.storage_version,
            "code_version": one.stored.record.code_version,
            "rows": one.rows,
            "taken": one.taken,
            "identical": not one.difference,
        }
        for one in done
    ]
    first = {"stage": last.name, "difference": last.difference} if last.difference else None
    return {"identical": first is None, "first_difference": first, "stages": stages}

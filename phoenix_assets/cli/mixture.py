"""`phoenix mixture`: what a recipe would bring, how two differ, and freezing one; all before anything of it is made."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main
from phoenix_assets.cli.names import named

if TYPE_CHECKING:
    from phoenix_assets.mix.config import Mixture
    from resources.ledger import LineageLedger

_HEADER: Final = (
    f"{'component':<24}{'documents':>12}{'of':>12}{'tokens':>16}{'share':>8}{'weight':>8}{'epochs':>8}"
)


@main.group()
def mixture() -> None:
    """Plan, compare and freeze mixture versions."""


@mixture.command("plan")
@click.argument("version")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def mixture_plan(version: str, json: bool) -> None:
    """Print what each component of VERSION brings from the tagged documents there are, and what is missing.

    Tokens are estimated from stored bytes. Nothing is materialised. A frozen mixture is planned from what it pins.
    """
    found = plan_of(open_phoenix().ledger, _recipe(version))
    click.echo(as_json(found) if json else "\n".join(_plan_lines(found)))


@mixture.command("diff")
@click.argument("first")
@click.argument("second")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def mixture_diff(first: str, second: str, json: bool) -> None:
    """Print what SECOND adds, removes and changes, and what both bring from the documents there are."""
    from phoenix_assets.mix.diff import recipe_diff

    ledger = open_phoenix().ledger
    recipes = [_recipe(first), _recipe(second)]
    found = {
        "mixtures": [recipe.version for recipe in recipes],
        **recipe_diff(*recipes),
        "plans": [_plan_if_any(ledger, recipe) for recipe in recipes],
    }
    click.echo(as_json(found) if json else "\n".join(_diff_lines(found)))


@mixture.command("freeze")
@click.argument("version")
def mixture_freeze(version: str) -> None:
    """Pin the exact documents of VERSION: what it was last made from, or would be made from now.

    From then on no delivery, threshold or deletion alters it, and no vacuum removes what it reads.
    """
    from resources.frozen import freeze, frozen_path

    ledger = open_phoenix().ledger
    frozen = freeze(ledger, _recipe(version))
    click.echo(
        f"{version} is frozen: {len(frozen.inputs)} partitions of"
        f" {len({source.asset for source in frozen.inputs})} tables, recipe {frozen.fingerprint}"
    )
    click.echo(f"wrote {frozen_path(ledger.lake, version)}")


@mixture.command("card")
@click.argument("version")
@click.option(
    "--made", default="", help="Data version (or its beginning) or storage version; default: newest."
)
@click.option("--croissant", is_flag=True, help="Print the Croissant metadata (JSON-LD) instead.")
def mixture_card(version: str, made: str, croissant: bool) -> None:
    """Print the dataset card of VERSION: sources, sizes, licences, languages, funnel, rules. Nothing is materialised.

    Card and Croissant metadata of the newest are in $PHOENIX_HOME/reports/mix/VERSION.
    """
    import tempfile
    from pathlib import Path

    from resources.mixture_card import CROISSANT, write_card
    from resources.rebuild import find_version

    phoenix = open_phoenix()
    stored = find_version(phoenix.lake, f"mix/{version}", "", made)
    with tempfile.TemporaryDirectory() as folder:
        card = write_card(phoenix.ledger, stored, Path(folder))
        click.echo((Path(folder) / CROISSANT).read_text("utf-8") if croissant else card)


def plan_of(ledger: "LineageLedger", recipe: "Mixture") -> dict[str, Any]:
    """Return a mixture's plan as JSON values.

    Raises LineageError when nothing is tagged of its sources, RecipeDrift or Withdrawn for a frozen one that cannot be
    used.
    """
    from datetime import UTC, datetime

    import polars as pl

    from phoenix_assets.mix.amounts import settle
    from phoenix_assets.mix.empty import explain_empty
    from phoenix_assets.mix.licences import refuse_licences
    from phoenix_assets.mix.plan import COUNTS, counted, plan
    from phoenix_assets.mix.select import decide
    from resources.candidates import candidates, licences
    from resources.frozen import newest_inputs, require_sound

    frozen = require_sound(ledger, recipe.version)
    inputs = frozen.inputs if frozen else newest_inputs(ledger, recipe)
    with candidates(ledger.lake, inputs, recipe) as batches:
        amounts = settle(batches, recipe)
        counts = [counted(decide(documents, recipe, amounts)) for documents in batches()]
        components = plan(pl.concat([COUNTS.to_frame(), *counts]), recipe)
        without = components.filter(available_documents=0)["component"].to_list()
        empty = explain_empty(batches, recipe, without)
    refused = refuse_licences(licences(ledger, inputs), datetime.now(UTC).date())
    there = {source.asset for source in inputs}
    return {
        "mixture": recipe.version,
        "frozen": frozen.frozen_at if frozen else None,
        "components": components.to_dicts(),
        "total": components.select("documents", "tokens").sum().to_dicts()[0],
        "missing": {
            "sources": [source for source in recipe.sources if f"{source}/tagged" not in there],
            "components": [{"component": one.component, "why": one.why, "wrong": one.wrong} for one in empty],
            "licences": refused.to_dicts(),
        },
    }


def _recipe(version: str) -> "Mixture":
    from phoenix_assets.config import config_dir
    from phoenix_assets.mix.config import load_mixture

    known = sorted(path.stem for path in (config_dir() / "mixtures").glob("*.yaml"))
    return load_mixture(version if version in known else named(version, known, "mixture"))


def _plan_if_any(ledger: "LineageLedger", recipe: "Mixture") -> dict[str, Any] | None:
    from resources.frozen import frozen_mixture, newest_inputs

    there = frozen_mixture(ledger.lake, recipe.version) or newest_inputs(ledger, recipe)
    return plan_of(ledger, recipe) if there else None


def _plan_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"mixture {found['mixture']}, {'frozen ' + found['frozen'] if found['frozen'] else 'open'}"
    yield _HEADER
    for row in found["components"]:
        weight = "" if row["weight"] is None else f"{row['weight']:.1%}"
        yield (
            f"{row['component']:<24}{row['documents']:>12,}{row['available_documents']:>12,}{row['tokens']:>16,}"
            f"{row['share']:>8.1%}{weight:>8}{row['epochs']:>8.2f}"
        )
    yield f"{'total':<24}{found['total']['documents']:>12,}{'':>12}{found['total']['tokens']:>16,}"
    missing = found["missing"]
    if missing["sources"]:
        yield f"nothing is tagged of: {', '.join(missing['sources'])}"
    for one in missing["components"]:
        yield f"{'WRONG: ' if one['wrong'] else ''}component {one['component']} has no documents: {one['why']}"
    for row in missing["licences"]:
        yield (
            f"licence of {row['source']}/{row['delivery']}: {row['reason']} ({row['licence_id'] or 'none'},"
            f" expires {row['expires'] or 'never'})"
        )


def _diff_lines(found: Mapping[str, Any]) -> Iterator[str]:
    first, second = found["mixtures"]
    yield f"{first} → {second}"
    for name, values in found["added"].items():
        yield f"+ {name}: {_written(values)}"
    for name, values in found["removed"].items():
        yield f"- {name}: {_written(values)}"
    for name, values in (*found["changed"].items(), ("(recipe)", found["settings"])):
        for path, (old, new) in values.items():
            yield f"~ {name}: {path}: {_value(old)} → {_value(new)}"
    if None in found["plans"]:
        yield "nothing is tagged yet: documents and tokens are not known"
        return
    yield ""
    yield f"{'component':<24}{'documents':>24}{'tokens':>32}{'share':>16}"
    rows = [{row["component"]: row for row in plan["components"]} for plan in found["plans"]]
    for name in dict.fromkeys((*rows[0], *rows[1])):
        old, new = (of_plan.get(name) for of_plan in rows)
        yield (
            f"{name:<24}{_both(old, new, 'documents', ',', 24)}{_both(old, new, 'tokens', ',', 32)}"
            f"{_both(old, new, 'share', '.1%', 16)}"
        )
    old, new = (plan["total"] for plan in found["plans"])
    yield f"{'total':<24}{_both(old, new, 'documents', ',', 24)}{_both(old, new, 'tokens', ',', 32)}"


def _both(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, name: str, form: str, width: int
) -> str:
    written = ("–" if row is None else format(row[name], form) for row in (old, new))
    return f"{' → '.join(written):>{width}}"


def _written(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)

"""`phoenix check-text`: what the filter funnel of a source says of a text."""

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from phoenix_assets.bounds import bounds_text
from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main
from phoenix_assets.cli.names import named_source

if TYPE_CHECKING:
    from phoenix_assets.clean.funnel import FunnelModels
    from phoenix_assets.clean.profiles import FilterProfile
    from resources.phoenix import Phoenix

_IN_NO_DELIVERY = "0" * 32  # the doc_id of a text that nobody delivered


@main.command("check-text")
@click.option("--source", required=True, help="Whose filter profile and normalisation.")
@click.option(
    "--normalized", is_flag=True, help="Normalise first, as the pipeline does, and print the result."
)
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
@click.argument("file", type=click.File(encoding="utf-8"), default="-")
def check_text_command(source: str, normalized: bool, json: bool, file: IO[str]) -> None:
    """Say what SOURCE's filter funnel makes of the text in FILE (default: standard input).

    The language is identified and every rule computed, with the models of the lake. The text is judged as it is, or
    with --normalized as the pipeline would see it.
    """
    found = check_text(open_phoenix(), source, file.read(), normalized=normalized)
    click.echo(as_json(found) if json else _page(found))


def check_text(phoenix: "Phoenix", source: str, text: str, *, normalized: bool = False) -> dict[str, Any]:
    """Return language, verdict, the rules with value, bounds and condition, notes, and the normalised text if wanted."""
    import polars as pl

    from phoenix_assets.clean.config import load_normalize
    from phoenix_assets.clean.funnel import funnel
    from phoenix_assets.clean.profiles import load_profile
    from phoenix_assets.clean.stages import normalize_documents
    from phoenix_assets.schema import DOCUMENT
    from phoenix_assets.sources import load_sources

    profile = load_profile(load_sources()[named_source(source)].filter_profile)
    row = dict.fromkeys(DOCUMENT, "") | {"doc_id": _IN_NO_DELIVERY, "source": source, "text": text}
    documents = pl.DataFrame([row], schema=DOCUMENT)
    models, notes = _models(phoenix)
    if normalized:
        output = normalize_documents(documents, load_normalize(source), models.lid)
        if not output.documents.height:
            reason = output.ledger["drop_reason"][0]
            return {"lang": "", "kept": False, "drop_reason": reason, "rules": [], "notes": notes, "text": ""}
        documents = output.documents
    verdict = funnel(documents, profile, models).row(0, named=True)
    return {
        "lang": verdict["lang"],
        "kept": verdict["kept"],
        "drop_reason": verdict["drop_reason"],
        "profile": profile.name,
        "rules": _rules(verdict, profile),
        "notes": notes + _unjudged(verdict, models),
        **({"text": documents["text"][0]} if normalized else {}),
    }


def _models(phoenix: "Phoenix") -> "tuple[FunnelModels, list[str]]":
    """Return the lake's models, and a note for each that it lacks."""
    from phoenix_assets.audit.verdicts import model_file
    from phoenix_assets.clean.assets import LID, kenlm_key
    from phoenix_assets.clean.config import KenlmConfig, LidConfig
    from phoenix_assets.clean.funnel import FunnelModels
    from phoenix_assets.clean.language import fetch_lid
    from phoenix_assets.config import config_dir, load

    notes = []
    lid = model_file(phoenix.lake, phoenix.ledger, LID)
    if lid is None:
        lid = fetch_lid(phoenix.path / "cache" / "models", load(LidConfig, config_dir() / "lid.yaml"))
        notes.append(f"{LID} is not materialised: the configured model was used from the cache")
    kenlm: dict[str, Path] = {}
    for lang in load(KenlmConfig, config_dir() / "kenlm.yaml").languages:
        found = model_file(phoenix.lake, phoenix.ledger, kenlm_key(lang))
        if found is None:
            notes.append(
                f"{kenlm_key(lang)} is not materialised: perplexity of {lang} text cannot be judged; "
                f"`phoenix materialize {kenlm_key(lang)}` makes it"
            )
        else:
            kenlm[lang] = found
    return FunnelModels.of(lid, kenlm), notes


def _unjudged(verdict: dict[str, Any], models: "FunnelModels") -> list[str]:
    if verdict["perplexity"] is not None:
        return []
    languages = [lang for lang, _ in models.kenlm]
    if verdict["lang"] in languages:
        return ["perplexity was not judged: the text has no tokens"]
    there_are = f"there are models of {', '.join(languages)}" if languages else "there is no model at all"
    return [f"perplexity was not judged: no model knows {verdict['lang'] or 'the language'}; {there_are}"]


def _rules(verdict: dict[str, Any], profile: "FilterProfile") -> list[dict[str, Any]]:
    from phoenix_assets.clean.profiles import Rule

    rows = zip(verdict["rules_name"], verdict["rules_value"], verdict["rules_cond"], strict=True)
    settings = {name: profile.setting(Rule(name), verdict["lang"]) for name in verdict["rules_name"]}
    return [
        {
            "rule": name,
            "value": value,
            "holds": holds,
            "bounds": settings[name].given(),
            "enforced": settings[name].enforced,
        }
        for name, value, holds in rows
    ]


def _page(found: dict[str, Any]) -> str:
    verdict = "kept" if found["kept"] else f"DROPPED: {found['drop_reason']}"
    lines = [f"language {found['lang'] or 'unknown'}: {verdict}"]
    for rule in found["rules"]:
        value = "not judged" if rule["value"] is None else f"{rule['value']:.6g}"
        holds = "ok  " if rule["holds"] else "FAIL"
        enforced = "" if rule["enforced"] else "  (not enforced)"
        lines.append(f"  {holds} {rule['rule']:<44}{value:>12}  {bounds_text(rule['bounds'])}{enforced}")
    lines += [f"note: {note}" for note in found["notes"]]
    if "text" in found:
        lines += ["", found["text"]]
    return "\n".join(lines)

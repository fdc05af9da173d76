"""`phoenix thresholds`: a rule's values over a source, and what another cutoff would drop or bring back."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main
from phoenix_assets.cli.names import named, named_source

if TYPE_CHECKING:
    import polars as pl

    from phoenix_assets.audit.verdicts import Verdicts
    from phoenix_assets.clean.profiles import Bounds
    from phoenix_assets.clean.study_config import ProfileInForce, StudyConfig
    from phoenix_assets.clean.threshold_study import Axis
    from resources.phoenix import Phoenix


@main.command()
@click.argument("source")
@click.argument("rule")
@click.option("--delivery", help="Only this delivery (default: all).")
@click.option("--lang", help="Only documents in this language, and its own bound.")
@click.option("--cutoff", help="A bound to try: a number, or for example at_most=5000.")
@click.option("--sample", type=click.IntRange(min=0), help="How many changed documents to show.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Write the distribution as PNG."
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a report in one file.")
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def thresholds(
    source: str,
    rule: str,
    delivery: str | None,
    lang: str | None,
    cutoff: str | None,
    sample: int | None,
    plot: Path | None,
    html: Path | None,
    json: bool,
) -> None:
    """Show the values of RULE over SOURCE, with the bound in force; change nothing.

    RULE is a rule's name or an unambiguous part of it (perplexity). With --cutoff: which documents the new bound would
    drop or bring back. No stage runs again: every value of every rule is in the ledger.
    """
    from phoenix_assets.clean.study_config import load_studies
    from phoenix_assets.cli.study_report import study_html, study_picture, study_text

    config = load_studies()
    study = study_threshold(open_phoenix(), source, rule, config, delivery, lang, cutoff, sample)
    if plot:
        plot.write_bytes(study_picture(study))
    if html:
        html.write_text(study_html(study), "utf-8")
    click.echo(as_json(study) if json else study_text(study, config))
    for path in filter(None, (plot, html)):
        click.echo(f"wrote {path}", err=True)


def study_threshold(
    phoenix: "Phoenix",
    source: str,
    rule: str,
    config: "StudyConfig",
    delivery: str | None = None,
    lang: str | None = None,
    cutoff: str | None = None,
    sample: int | None = None,
) -> dict[str, Any]:
    """Return a study as plain JSON values. Raises ConfigError or LineageError for names that there are not."""
    import polars as pl

    from phoenix_assets.audit.verdicts import first_texts, newest_verdicts, rules_of
    from phoenix_assets.clean import threshold_study as kernel
    from phoenix_assets.schema import Stage
    from phoenix_assets.sources import load_sources

    lake = phoenix.lake
    verdicts = newest_verdicts(phoenix.ledger, named_source(source), Stage.FILTERED, delivery)
    listed = {one.delivery: rules_of(lake, one) for one in verdicts}
    rule = named(rule, dict.fromkeys(name for rules in listed.values() for name in rules), "rule")
    with_rule = [one for one in verdicts if rule in listed[one.delivery]]
    profiles = {one.delivery: _profile(one) for one in with_rule}
    newest = profiles[max(with_rule, key=lambda one: one.record.finished).delivery]
    tried = _cutoff(newest, rule, cutoff, lang) if cutoff is not None else None
    rows = pl.concat(
        kernel.judged(
            lake.read(one.ledger),
            rule,
            listed[one.delivery],
            profiles[one.delivery],
            kernel.new_bounds(profiles[one.delivery], rule, tried, lang) if tried else None,
        )
        for one in with_rule
    )
    rows = rows.filter(pl.col("lang") == lang) if lang else rows
    languages = kernel.summary(rows, config.quantiles)
    axis = _axis(rule, languages, newest, tried, lang, config)
    count = config.sample if sample is None else sample
    drawn = {name: kernel.sampled(rows, fate, count) for name, fate in _changes().items()} if tried else {}
    counted, *changed = pl.collect_all([kernel.tally(rows, axis), *drawn.values()], engine="streaming")
    ratios = kernel.bytes_per_character(
        first_texts(lake, with_rule, config.ratio_deliveries, config.ratio_documents)
    )
    fates = kernel.by_language(counted, ratios, config.bytes_per_token)
    return {
        "source": source,
        "rule": rule,
        "lang": lang,
        "deliveries": [one.delivery for one in with_rule],
        **_where_to_edit(load_sources()[source].filter_profile, newest, rule, lang),
        "bounds": _bounds(newest, rule),
        "cutoff": tried.given() if tried else None,
        "languages": languages.join(fates, on="lang", maintain_order="left").to_dicts(),
        "total": fates.drop("lang").sum().to_dicts()[0],
        "histogram": _histogram(
            counted, axis, languages.filter(pl.col("judged") > 0)["lang"].to_list(), config.plotted_languages
        ),
        "samples": {
            name: _with_texts(phoenix, with_rule, found, config.snippet_characters)
            for name, found in zip(drawn, changed, strict=True)
        },
    }


def _profile(verdicts: "Verdicts") -> "ProfileInForce":
    from phoenix_assets.clean.study_config import ProfileInForce

    return ProfileInForce.of(verdicts.record.config["filter_profile"])


def _cutoff(profile: "ProfileInForce", rule: str, typed: str, lang: str | None) -> "Bounds":
    """Return the bounds in force with the one that was typed in its place."""
    from phoenix_assets.clean.profiles import Bounds
    from phoenix_assets.errors import ConfigError

    given = profile.setting(rule, lang or "").given()
    name, _, number = typed.rpartition("=")
    choices = ", ".join(f"{bound}={number}" for bound in (given or Bounds.model_fields))
    if not name and len(given) != 1:
        raise ConfigError(f"{rule} has {len(given)} bounds; say which one {typed} replaces: {choices}")
    name = name or next(iter(given))
    if name not in Bounds.model_fields:
        raise ConfigError(f"no bound {name!r}; there are: {', '.join(Bounds.model_fields)}")
    try:
        return Bounds.model_validate(given | {name: float(number)})
    except ValueError as error:
        raise ConfigError(f"--cutoff {typed!r} is no number; write for example {choices}") from error


def _axis(
    rule: str,
    languages: "pl.DataFrame",
    profile: "ProfileInForce",
    tried: "Bounds | None",
    lang: str | None,
    config: "StudyConfig",
) -> "Axis":
    from phoenix_assets.clean.threshold_study import axis_over

    settings = [profile.setting(rule, lang)] if lang else [profile.rules[rule], *profile.own(rule).values()]
    marks = [bound for one in (*settings, tried) if one for bound in one.given().values()]
    low, high = (languages[name].drop_nulls() for name in ("low", "high"))
    return axis_over(
        float(low.min() or 0) if len(low) else 0.0,  # type: ignore[arg-type]
        float(high.max() or 0) if len(high) else 1.0,  # type: ignore[arg-type]
        marks,
        bins=config.bins,
        log=rule in config.log_scale,
    )


def _bounds(profile: "ProfileInForce", rule: str) -> dict[str, dict[str, Any]]:
    """Return the bounds in force: of all languages under "", and of those with their own."""
    settings = {"": profile.rules[rule], **profile.own(rule)}
    return {lang: {"enforced": one.enforced, **one.given()} for lang, one in settings.items()}


def _where_to_edit(profile: str, in_force: "ProfileInForce", rule: str, lang: str | None) -> dict[str, Any]:
    """Return the profile's file, who else uses it, and whether it has changed since the documents were judged."""
    from phoenix_assets.clean.profiles import load_profile
    from phoenix_assets.clean.study_config import ProfileInForce
    from phoenix_assets.sources import load_sources

    now = ProfileInForce.of(load_profile(profile).model_dump(mode="json"))
    changed = rule not in now.rules or (now.rules[rule], now.own(rule)) != (
        in_force.rules[rule],
        in_force.own(rule),
    )
    return {
        "profile": profile,
        "profile_file": f"config/filters/{profile}.yaml",
        "edit": f"languages › {lang} › {rule}" if lang else f"rules › {rule}",
        "sources": [name for name, source in load_sources().items() if source.filter_profile == profile],
        "changed_since": changed,
    }


def _histogram(counted: "pl.DataFrame", axis: "Axis", languages: Sequence[str], most: int) -> dict[str, Any]:
    """Return documents a bin by what the rule says now and would say, of all together and of the largest languages."""
    import polars as pl

    passes, would = pl.col("passes"), pl.col("would_pass")
    layers = {
        "passes": passes & would,
        "fails": ~passes & ~would,
        "would fail": passes & ~would,
        "would pass": ~passes & would,
    }
    bins = pl.DataFrame({"bin": pl.int_range(axis.bins, dtype=pl.Int32, eager=True)})

    def binned(rows: "pl.DataFrame") -> dict[str, list[int]]:
        sums = rows.group_by("bin").agg(
            pl.col("documents").filter(layer).sum().alias(name) for name, layer in layers.items()
        )
        return (
            bins.join(sums, on="bin", how="left")
            .fill_null(0)
            .sort("bin")
            .drop("bin")
            .to_dict(as_series=False)
        )

    chosen = {lang: binned(counted.filter(pl.col("lang") == lang)) for lang in languages[:most]}
    return {"edges": axis.edges(), "log": axis.log, "all": binned(counted), "languages": chosen}


def _changes() -> dict[str, "pl.Expr"]:
    """Return which documents another bound concerns, by what it would do to them."""
    import polars as pl

    kept, stays = pl.col("kept"), pl.col("would_keep")
    return {"would_drop": kept & ~stays, "would_return": ~kept & stays}


def _with_texts(
    phoenix: "Phoenix", verdicts: "Sequence[Verdicts]", rows: "pl.DataFrame", characters: int
) -> list[dict[str, Any]]:
    from phoenix_assets.audit.verdicts import texts_of

    shown = rows.select("doc_id", "delivery", "lang", "value", "drop_reason", "chars")
    columns = ("locator", "url", "title", "text")
    return texts_of(phoenix.lake, verdicts, shown, columns, characters).to_dicts()

"""`phoenix rescore`: score again what a stage dropped, or kept, with a model; no stage runs again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phoenix_assets.bounds import bounds_text
from phoenix_assets.cli.home import as_json, open_phoenix
from phoenix_assets.cli.main import main
from phoenix_assets.cli.names import named, named_source
from phoenix_assets.cli.terminal_histogram import histogram_text

if TYPE_CHECKING:
    import polars as pl

    from phoenix_assets.audit.verdicts import Verdicts
    from phoenix_assets.clean.profiles import Bounds
    from phoenix_assets.clean.study_config import ScorerConfig, StudyConfig
    from phoenix_assets.clean.threshold_study import Axis
    from phoenix_assets.lineage import InputVersion
    from resources.lake import Shard
    from resources.phoenix import Phoenix

DROPS, KEEPS = "drops", "keeps"


@main.command()
@click.argument("source")
@click.option(
    "--scorer", default="quality", show_default=True, help="One of `scorers` in config/studies.yaml."
)
@click.option(
    "--of", type=click.Choice([DROPS, KEEPS]), default=DROPS, show_default=True, help="What to score."
)
@click.option("--reason", help="Only documents dropped for this reason.")
@click.option("--delivery", help="Only this delivery (default: all).")
@click.option("--at-least", type=float, help="Choose scores from here up (default: the scorer's own bounds).")
@click.option("--at-most", type=float, help="Choose scores up to here.")
@click.option("--sample", type=click.IntRange(min=0), help="How many chosen documents to show.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write doc_id, score, reason as Parquet.",
)
@click.option("--json", is_flag=True, help="Machine-readable, with every value.")
def rescore(
    source: str,
    scorer: str,
    of: str,
    reason: str | None,
    delivery: str | None,
    at_least: float | None,
    at_most: float | None,
    sample: int | None,
    output: Path | None,
    json: bool,
) -> None:
    """Score what SOURCE's filter dropped, or kept, with a model of the lake, and choose by the score.

    Of drops those are chosen that score well: they should perhaps have been kept. Of keeps those that score badly. No
    stage runs again, and nothing in the lake changes.
    """
    from phoenix_assets.clean.profiles import Bounds
    from phoenix_assets.clean.study_config import load_studies

    config = load_studies()
    asked = Bounds(at_least=at_least, at_most=at_most)
    found = rescore_documents(
        open_phoenix(),
        source,
        config,
        scorer,
        of,
        reason,
        delivery,
        asked if asked.given() else None,
        sample,
        output,
    )
    click.echo(as_json(found) if json else _page(found, config))
    if output:
        click.echo(f"wrote {output}", err=True)


def rescore_documents(
    phoenix: "Phoenix",
    source: str,
    config: "StudyConfig",
    scorer: str = "quality",
    of: str = DROPS,
    reason: str | None = None,
    delivery: str | None = None,
    asked: "Bounds | None" = None,
    sample: int | None = None,
    output: Path | None = None,
) -> dict[str, Any]:
    """Score shard by shard; return counts, histogram and samples. Raises ConfigError or LineageError for wrong names."""
    import polars as pl

    from phoenix_assets.audit.verdicts import newest_verdicts, reasons, texts_of
    from phoenix_assets.clean import rescoring as kernel
    from phoenix_assets.clean.threshold_study import Axis
    from phoenix_assets.schema import Stage

    verdicts = newest_verdicts(phoenix.ledger, named_source(source), Stage.FILTERED, delivery)
    name = named(scorer, config.scorers, "scorer")
    chosen = config.scorers[name]
    exact = named(reason, reasons(verdicts)["reason"], "drop reason") if reason else None
    bounds = asked or (chosen.good if of == DROPS else chosen.bad)
    axis = Axis(chosen.low, chosen.high, config.bins, chosen.log_scale)
    count = config.sample if sample is None else sample
    tally = kernel.tally_scores(pl.DataFrame(schema=kernel.SCORED), axis)
    shown = pl.DataFrame(schema=kernel.SCORED)
    work = Rescoring(phoenix.path, chosen, _model(phoenix, chosen), of == KEEPS, exact, bounds)
    with _written(output) as write:
        for rows in phoenix.engine.map(work, _shards(phoenix, verdicts)):
            tally = kernel.added([tally, kernel.tally_scores(rows, axis)])
            shown = kernel.drawn(shown, rows, count=count)
            write(rows)
    columns = ("locator", "url", "title", "text")
    samples = texts_of(
        phoenix.lake, verdicts, shown.drop("source", "chosen"), columns, config.snippet_characters
    )
    return {
        "source": source,
        "scorer": name,
        "model": chosen.model,
        "of": of,
        "reason": exact,
        "bounds": bounds.given(),
        **_counts(tally),
        "histogram": _histogram(tally, axis),
        "samples": samples.to_dicts(),
    }


@dataclass(frozen=True)
class Rescoring:
    """What a worker does with one shard of documents: choose those of one fate, score them. Only scores come back."""

    home: Path
    scorer: "ScorerConfig"
    model: Path
    kept: bool
    reason: str | None
    bounds: "Bounds"

    def __call__(self, item: "tuple[Shard, InputVersion]") -> "pl.DataFrame":
        """Return SCORED rows of a shard, whose verdicts stand in the ledger beside it."""
        import polars as pl

        from phoenix_assets.clean.rescoring import scored
        from resources.lake import Lake

        shard, ledger = item
        fate = pl.col("kept") if self.kept else ~pl.col("kept")
        verdicts = Lake(self.home).read(ledger).filter(fate)
        if self.reason:
            verdicts = verdicts.filter(pl.col("drop_reason") == self.reason)
        known = pl.col("lang") if "lang" in verdicts.collect_schema() else pl.lit(None, pl.String)
        rows = verdicts.select("doc_id", lang=known, reason="drop_reason").collect()
        judged = shard.read().drop("lang").join(rows, on="doc_id", maintain_order="left")
        score = score_texts(judged["text"], judged["lang"], self.scorer, self.model)
        return scored(judged.select("doc_id", "source", "delivery", "lang", "reason"), score, self.bounds)


def score_texts(texts: "pl.Series", langs: "pl.Series", scorer: "ScorerConfig", model: Path) -> "pl.Series":
    """Return a score a text by the scorer's model, null where it knows nothing about the language."""
    from phoenix_assets.clean.funnel import load_kenlm
    from phoenix_assets.clean.perplexity import perplexity
    from phoenix_assets.clean.profiles import ROOT_PROFILE, load_profile
    from phoenix_assets.tag.assets import load_tags
    from phoenix_assets.tag.quality import score_quality

    if scorer.language:
        characters = load_profile(ROOT_PROFILE).parameters.perplexity_characters
        return perplexity(texts, langs, load_kenlm(((scorer.language, model),)), characters)
    return score_quality(texts, langs, model, load_tags().quality)


def _model(phoenix: "Phoenix", scorer: "ScorerConfig") -> Path:
    from phoenix_assets.audit.verdicts import model_file
    from phoenix_assets.errors import LineageError

    found = model_file(phoenix.lake, phoenix.ledger, scorer.model)
    if found is None:
        raise LineageError(f"{scorer.model} is not materialised; run `phoenix materialize {scorer.model}`")
    return found


def _shards(phoenix: "Phoenix", verdicts: "list[Verdicts]") -> "Iterator[tuple[Shard, InputVersion]]":
    for one in verdicts:
        for shard in phoenix.lake.shards(one.before):
            yield shard, one.ledger


@contextmanager
def _written(output: Path | None) -> "Iterator[Callable[[pl.DataFrame], None]]":
    """Give what writes SCORED rows to `output` as they come; without an output, what forgets them."""
    import polars as pl
    import pyarrow.parquet as pq

    from phoenix_assets.clean.rescoring import SCORED

    if output is None:
        yield lambda rows: None
        return
    oldest = pl.CompatLevel.oldest()
    schema = pl.DataFrame(schema=SCORED).to_arrow(compat_level=oldest).schema
    part = output.with_name(f"{output.name}.part")  # what an interruption leaves is not taken for the whole
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        yield lambda rows: writer.write_table(rows.to_arrow(compat_level=oldest))
    part.replace(output)


def _counts(tally: "pl.DataFrame") -> dict[str, Any]:
    """Return how many documents were scored and chosen: of all, and for each reason, most documents first."""
    import polars as pl

    documents = pl.col("documents")
    sums = {
        "documents": documents.sum(),
        "unscored": documents.filter(pl.col("bin").is_null()).sum(),
        "chosen": documents.filter("chosen").sum(),
    }
    by_reason = tally.group_by("reason").agg(**sums).sort("documents", "reason", descending=[True, False])
    return {**tally.select(**sums).to_dicts()[0], "reasons": by_reason.to_dicts()}


def _histogram(tally: "pl.DataFrame", axis: "Axis") -> dict[str, Any]:
    import polars as pl

    counts = dict(tally.drop_nulls("bin").group_by("bin").agg(pl.col("documents").sum()).iter_rows())
    return {"edges": axis.edges(), "documents": [counts.get(place, 0) for place in range(axis.bins)]}


def _page(found: dict[str, Any], config: "StudyConfig") -> str:
    bounds = bounds_text(found["bounds"])
    marks = {f"{bounds} is chosen": value for value in list(found["bounds"].values())[:1]}
    histogram = found["histogram"]
    doubt = "should perhaps have been kept" if found["of"] == DROPS else "should perhaps have been dropped"
    lines = [
        f"{found['source']}: {found['scorer']} of {found['documents']:,} {found['of']} ({found['model']})",
        f"{found['chosen']:,} score {bounds}: they {doubt}",
        "",
        histogram_text(
            histogram["edges"],
            histogram["documents"],
            marks,
            rows=config.terminal_rows,
            width=config.terminal_width,
        ),
        "",
        f"{'documents':>10}{'chosen':>10}  reason",
        *(f"{row['documents']:>10,}{row['chosen']:>10,}  {row['reason']}" for row in found["reasons"]),
    ]
    if found["unscored"]:
        lines.append(f"{found['unscored']:,} have no score: the model knows nothing about their language")
    for row in found["samples"]:
        text = " ".join((row["text"] or "").split())
        lines += ["", f"{row['doc_id']}  {row['lang']}  {row['score']:.4g}  {row['reason']}", f"    {text}"]
    return "\n".join(lines)

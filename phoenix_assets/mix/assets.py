"""`mix/<version>`: a recipe and the tagged sources become the list of documents that a corpus is made of."""

from datetime import UTC, date, datetime

import dagster as dg
import polars as pl

from phoenix_assets.lineage import LicenceTerms, SideTable
from phoenix_assets.mix.config import Mixture, load_mixtures, recipe_digest
from phoenix_assets.schema import KEPT, LEDGER
from resources.build import Build, ShardOutput
from resources.conservation import conservation
from resources.declare import declared
from resources.phoenix import Phoenix
from resources.report import materialized


def mix_key(version: str) -> str:
    """Return the asset path of a mixture version."""
    return f"mix/{version}"


def mix_assets() -> list[dg.AssetsDefinition]:
    """Return one asset a recipe."""
    return [_mix(version, recipe) for version, recipe in load_mixtures().items()]


def _mix(version: str, recipe: Mixture) -> dg.AssetsDefinition:
    config = {"recipe": recipe.model_dump(mode="json"), "recipe_digest": recipe_digest(recipe)}
    upstream = [f"{source}/tagged" for source in recipe.sources]

    @dg.asset(
        **declared(
            mix_key(version),
            room="mix",
            kernels=("phoenix_assets.mix.select", "phoenix_assets.draw"),
            config=config,
            deps=upstream,
            kinds=("deltalake", "polars"),
            conserves_rows=True,
            description=f"Mixture {version}: which documents, how often, in which split.",
        )
    )
    def mix(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.mix.plan import plan
        from phoenix_assets.mix.select import SELECTION, Split, select

        build = phoenix.start(context, config=config, all_of=upstream)
        _require_licences(build, datetime.now(UTC).date())
        selection = select(_candidates(build, upstream), recipe)
        chosen = selection.filter(pl.col("split") != Split.NONE.value).sort("doc_id")
        stored = build.commit_shards(SELECTION, [_output(build, selection, chosen)])
        components = plan(selection)
        return materialized(
            stored,
            pictures=_pictures(version, components),
            sample=components,
            checks=[conservation(build, stored, upstream=upstream)],
        )

    return mix


def _candidates(build: Build, upstream: list[str]) -> pl.DataFrame:
    """Return what the recipe decides by, of every tagged document that exists."""
    columns = ("doc_id", "source", "delivery", "lang", "tags", "quality")
    text = pl.col("text")
    documents = build.read_all(upstream)
    return documents.select(*columns, bytes=text.str.len_bytes(), chars=text.str.len_chars()).collect(
        engine="streaming"
    )


def _output(build: Build, selection: pl.DataFrame, chosen: pl.DataFrame) -> ShardOutput:
    """Stage the chosen documents, and a ledger row for every candidate."""
    kept = pl.col("reason").is_null()
    ledger = selection.select(
        "doc_id",
        "delivery",
        stage=pl.lit("mix"),
        kept=kept,
        drop_reason=pl.col("reason").fill_null(KEPT),
        rules_name=pl.lit([], pl.List(pl.String)),
        rules_value=pl.lit([], pl.List(pl.Float64)),
        rules_cond=pl.lit([], pl.List(pl.Boolean)),
        duplicate_of=pl.lit(None, pl.String),
        chars_in=pl.col("chars").cast(pl.Int64),
        chars_out=pl.when(kept).then(pl.col("chars")).otherwise(0).cast(pl.Int64),
    )
    reasons = ledger.filter(~pl.col("kept")).group_by("drop_reason").len().sort("drop_reason")
    return ShardOutput(
        documents=(build.stage(chosen),),
        ledger=(
            build.stage_side(SideTable.LEDGER, ledger.match_to_schema(LEDGER, missing_columns="insert")),
        ),
        reasons=dict(reasons.iter_rows()),
    )


def _require_licences(build: Build, on: date) -> None:
    from phoenix_assets.mix.licences import LICENCES, require_licences

    terms: dict[tuple[str, str], LicenceTerms] = {
        (term.source, term.delivery): term
        for stored in build.ledger.records_of(build.inputs)
        for term in stored.record.licences
    }
    rows = [
        (term.source, term.delivery, term.licence, date.fromisoformat(term.expires) if term.expires else None,
         list(term.allows))
        for _, term in sorted(terms.items())
    ]  # fmt: skip
    require_licences(pl.DataFrame(rows, schema=LICENCES, orient="row"), on)


def _pictures(version: str, components: pl.DataFrame) -> dict[str, bytes]:
    from phoenix_assets.figures import bars

    shares = {name: 100 * share for name, share in components.select("component", "share").iter_rows()}
    epochs = dict(components.select("component", "epochs").iter_rows())
    return {
        "shares": bars(shares, title=f"mixture {version}: share of training tokens", unit="%"),
        "epochs": bars(epochs, title=f"mixture {version}: epochs of each component", unit="epochs"),
    }

"""`mix/<version>`: a recipe and the tagged sources become the list of documents that a corpus is made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import dagster as dg
import polars as pl

from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.mix.config import Mixture, load_mixtures, recipe_digest
from phoenix_assets.schema import KEPT, ledger_rows
from resources.build import Build, ShardOutput
from resources.conservation import conservation
from resources.declare import Automation, declared
from resources.phoenix import Phoenix
from resources.report import materialized

if TYPE_CHECKING:
    from phoenix_assets.mix.amounts import Batches


_SHOWN_CHARACTERS: Final = 100_000


def mix_key(version: str) -> str:
    """Return the asset path of a mixture version."""
    return f"mix/{version}"


def mix_assets() -> list[dg.AssetsDefinition]:
    """Return one asset a recipe."""
    return [_mix(version, recipe) for version, recipe in load_mixtures().items()]


def mixture_automation() -> Mapping[str, Automation]:
    """Return when each mixture version, and what is made of it alone, is made without anybody asking."""
    return {version: _automation(recipe) for version, recipe in load_mixtures().items()}


def _automation(recipe: Mixture) -> Automation:
    return Automation.ALWAYS if recipe.automatic else Automation.BY_NAME


def _mix(version: str, recipe: Mixture) -> dg.AssetsDefinition:
    config = {"recipe": recipe.values(), "recipe_digest": recipe_digest(recipe)}
    upstream = [f"{source}/tagged" for source in recipe.sources]

    @dg.asset(
        **declared(
            mix_key(version),
            room="mix",
            kernels=tuple(
                f"phoenix_assets.{name}" for name in ("mix.select", "mix.amounts", "mix.assign", "draw")
            ),
            config=config,
            deps=upstream,
            automation=_automation(recipe),
            kinds=("deltalake", "polars"),
            conserves_rows=True,
            description=f"Mixture {version}: which documents, how often, in which split.",
        )
    )
    def mix(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.mix.amounts import settle
        from phoenix_assets.mix.licences import require_licences
        from phoenix_assets.mix.plan import COUNTS, counted, plan
        from phoenix_assets.mix.select import SELECTION, decide
        from resources.audit_summary import audit_summary
        from resources.candidates import candidates, licences
        from resources.frozen import require_sound

        frozen = require_sound(phoenix.ledger, version)
        build = phoenix.start(
            context,
            config=config,
            all_of=() if frozen else upstream,
            inputs=frozen.inputs if frozen else (),
        )
        require_licences(licences(build.ledger, build.inputs), phoenix.today)
        outputs, counts = [], [COUNTS.to_frame()]
        with candidates(build.lake, build.inputs, recipe) as batches:
            amounts = settle(batches, recipe)
            for documents in batches():
                selection = decide(documents, recipe, amounts)
                outputs.append(_output(build, selection))
                counts.append(counted(selection))
            components = plan(pl.concat(counts), recipe)
            _look_at_empty(context, batches, recipe, components)
        stored = build.commit_shards(SELECTION, outputs)
        return materialized(
            stored,
            pictures=_pictures(version, components),
            sample=components,
            checks=[conservation(build, stored, upstream=upstream)],
            extra={
                "frozen": frozen.frozen_at if frozen else "no",
                "audit": audit_summary(build.ledger, stored),
                **_card(phoenix, stored),
            },
        )

    return mix


def _card(phoenix: Phoenix, stored: StoredRecord) -> dict[str, dg.MetadataValue]:
    """Write the card and the Croissant metadata of the mixture, in the place of those of the version before."""
    from resources.mixture_card import CROISSANT, card_folder, write_card

    folder = card_folder(phoenix.path, stored)
    card = write_card(phoenix.ledger, stored, folder)
    return {
        "card": dg.MetadataValue.md(card if len(card) <= _SHOWN_CHARACTERS else f"see {folder}"),
        "croissant": dg.MetadataValue.path(folder / CROISSANT),
    }


def _output(build: Build, selection: pl.DataFrame) -> ShardOutput:
    """Stage the chosen documents of a selection, and a ledger row for every candidate."""
    chosen = selection.filter(pl.col("reason").is_null()).sort("doc_id")
    kept = pl.col("reason").is_null()
    ledger = ledger_rows(
        selection,
        "mix",
        kept=kept,
        drop_reason=pl.col("reason").fill_null(KEPT),
        chars_in=pl.col("chars"),
        chars_out=pl.when(kept).then("chars").otherwise(0),
    )
    reasons = selection.filter(~kept).group_by("reason").len().sort("reason")
    return ShardOutput(
        documents=(build.stage(chosen),),
        ledger=(build.stage_side(SideTable.LEDGER, ledger.sort("doc_id")),),
        reasons=dict(reasons.iter_rows()),
    )


def _look_at_empty(
    context: dg.AssetExecutionContext, batches: "Batches", recipe: Mixture, components: pl.DataFrame
) -> None:
    """Warn of components without documents. Raises ConfigError for those that no document can ever be in."""
    from phoenix_assets.mix.empty import explain_empty, require_documents

    names = components.filter(available_documents=0)["component"].to_list()
    empty = explain_empty(batches, recipe, names)
    require_documents(empty, recipe.version)
    for one in empty:
        context.log.warning(f"component {one.component!r} has no documents: {one.why}")


def _pictures(version: str, components: pl.DataFrame) -> dict[str, bytes]:
    from phoenix_assets.figures import bars

    shares = {name: 100 * share for name, share in components.select("component", "share").iter_rows()}
    epochs = dict(components.select("component", "epochs").iter_rows())
    return {
        "shares": bars(shares, title=f"mixture {version}: share of training tokens", unit="%"),
        "epochs": bars(epochs, title=f"mixture {version}: epochs of each component", unit="epochs"),
    }

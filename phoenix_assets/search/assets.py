"""A mixture search: `search/<name>/weights` → `runs` → `proposal`, and `reweighting` beside them.

    weights      the mixtures to try; sample 0 is the mixture as it is
    runs         a proxy trained on each, one after the other, and its validation losses (RegMix, first half)
    proposal     the loss surface fitted to the runs, and the recipe of the best mixtures on it (second half)
    reweighting  the recipe that a proxy learned while it trained beside sample 0's (DoReMi)

Nothing of it is made before somebody asks for it by name. A run that was interrupted goes on where it was.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from phoenix_assets.search.config import Search, load_searches
from phoenix_assets.tokens.config import TOKENIZER, model_key
from phoenix_assets.train.config import load_sizes
from resources.build import Build
from resources.declare import Automation, declared
from resources.frozen import require_sound
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.training import TRAINER, require_made_from

RECIPE_FILE = "mixture.yaml"
_TOKENIZER = model_key(TOKENIZER)


def search_assets() -> list[dg.AssetsDefinition]:
    """Return the assets of every search."""
    return [
        asset
        for name, search in load_searches().items()
        for asset in (
            _weights(name, search),
            _runs(name, search),
            _proposal(name, search),
            _reweighting(name, search),
        )
    ]


def _declared(
    name: str,
    search: Search,
    step: str,
    *,
    kernels: tuple[str, ...],
    config: Mapping[str, Any],
    deps: list[str],
    says: str,
    kinds: tuple[str, ...] = ("deltalake",),
    pool: str | None = None,
) -> dict[str, Any]:
    return declared(
        f"search/{name}/{step}",
        room="search",
        kernels=kernels,
        config=config,
        deps=deps,
        automation=Automation.BY_NAME,
        kinds=kinds,
        description=f"{search.description} {says}",
        pool=pool,
    )


def _weights(name: str, search: Search) -> dg.AssetsDefinition:
    config = search.model_dump(mode="json", include={"mixture", "components", "samples"})
    tokens = f"tokens/{search.mixture}"

    @dg.asset(
        **_declared(
            name,
            search,
            "weights",
            kernels=("phoenix_assets.search.sampling",),
            config=config,
            deps=[tokens],
            says=f"The mixtures to try; sample 0 is {search.mixture} as it is.",
        )
    )
    def weights(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.search.sampling import sample_mixtures
        from resources.proxies import tokens_by_component

        build = phoenix.start(context, config=config, same=[tokens])
        rows = sample_mixtures(tokens_by_component(build, build.input(tokens)), search)
        stored = build.commit_frame(rows, counts={"samples": rows["sample"].n_unique()})
        return materialized(stored, sample=rows.pivot("component", index="sample", values="weight"))

    return weights


def _trained_config(search: Search) -> dict[str, Any]:
    shape = load_sizes()[search.proxy.size]
    return {"proxy": search.proxy.model_dump(mode="json"), "size": shape.model_dump(mode="json")}


def _runs(name: str, search: Search) -> dg.AssetsDefinition:
    config = _trained_config(search)
    weights, tokens = f"search/{name}/weights", f"tokens/{search.mixture}"

    @dg.asset(
        **_declared(
            name,
            search,
            "runs",
            kernels=(*TRAINER, "phoenix_assets.search.sequences", "phoenix_assets.search.losses"),
            config=config,
            deps=[weights, tokens, _TOKENIZER],
            says="The validation losses of a proxy trained on each of the mixtures.",
            kinds=("nemo", "pytorch"),
            pool="training",
        )
    )
    def runs(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.search.losses import LOSSES
        from resources.proxies import Proxies

        build = _training_build(context, phoenix, search, config, weights)
        proxies = Proxies(context, build, phoenix.path, name, search)
        found = [LOSSES.to_frame()]
        for sample, mixture in _mixtures(build, weights).items():
            handle = proxies.of_mixture(mixture)
            losses = proxies.losses(handle)
            row = losses.with_columns(sample=pl.lit(sample), job_key=pl.lit(handle.job.job_key))
            found.append(row.select(pl.col(column).cast(kind) for column, kind in LOSSES.items()))
            context.log.info(f"sample {sample}: {handle.job.job_key} has been trained and scored")
        rows = pl.concat(found)
        stored = build.commit_frame(rows, counts={"proxies": rows["sample"].n_unique()})
        return materialized(stored, sample=rows.filter(sample=0).drop("sample", "job_key"))

    return runs


def _training_build(
    context: dg.AssetExecutionContext,
    phoenix: Phoenix,
    search: Search,
    config: Mapping[str, Any],
    weights: str,
) -> Build:
    """Start a build that trains proxies. Raises RecipeDrift, Withdrawn or LineageError when it must not."""
    require_sound(phoenix.ledger, search.mixture)
    tokens = f"tokens/{search.mixture}"
    build = phoenix.start(context, config=config, same=[weights, tokens, _TOKENIZER])
    require_made_from(build, weights, tokens)
    phoenix.engine.release()
    return build


def _mixtures(build: Build, weights: str) -> dict[int, dict[str, float]]:
    """Return each sample's weights by component, in the order of the samples."""
    rows = build.read(weights).sort("sample", "component").collect()
    parts = rows.partition_by("sample", as_dict=True, maintain_order=True)
    return {
        int(sample): dict(part.select("component", "weight").iter_rows()) for (sample,), part in parts.items()
    }


def _proposal(name: str, search: Search) -> dg.AssetsDefinition:
    config = search.model_dump(
        mode="json", include={"mixture", "components", "samples", "target", "regression"}
    )
    weights, runs = f"search/{name}/weights", f"search/{name}/runs"
    tokens = f"tokens/{search.mixture}"

    @dg.asset(
        **_declared(
            name,
            search,
            "proposal",
            kernels=tuple(
                f"phoenix_assets.search.{kernel}" for kernel in ("regression", "sampling", "recipe")
            ),
            config=config,
            deps=[weights, runs, tokens],
            says="The recipe with the lowest predicted validation loss.",
            kinds=("scikitlearn",),
        )
    )
    def proposal(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.search.pictures import surface_pictures
        from phoenix_assets.search.regression import propose

        build = phoenix.start(context, config=config, same=[weights, runs, tokens])
        require_made_from(build, runs, weights)
        require_made_from(build, weights, tokens)
        mixtures = _mixtures(build, weights)
        own = np.array([[mixture[part] for part in search.components] for mixture in mixtures.values()])
        found = propose(own / own[0].sum(), build.read(runs).collect(), search)
        proposed = dict(zip(search.components, (own[0].sum() * found.mixture).tolist(), strict=True))
        return _recommended(
            build,
            search,
            mixtures[0] | proposed,
            mixtures[0],
            f"{search.mixture} with the weights that the search {name} proposes: predicted loss {found.predicted:.4f} nats"
            f" a token,\nbeside {found.predicted_now:.4f} predicted and {found.measured[0]:.4f} measured of"
            f" {search.mixture} as it is; rank correlation of held-out runs {found.fitted.rank_correlation:.2f}.",
            pictures=surface_pictures(name, search.components, found),
            extra={
                "surface": found.fitted.kind.value,
                "predicted_loss": found.predicted,
                "measured_loss_now": float(found.measured[0]),
                **{f"rank_correlation_{kind.value}": value for kind, value in found.fitted.compared.items()},
            },
        )

    return proposal


def _reweighting(name: str, search: Search) -> dg.AssetsDefinition:
    config = {
        **_trained_config(search),
        **search.model_dump(mode="json", include={"mixture", "components", "reweighting"}),
    }
    weights, tokens = f"search/{name}/weights", f"tokens/{search.mixture}"

    @dg.asset(
        **_declared(
            name,
            search,
            "reweighting",
            kernels=(
                *TRAINER,
                "training_jobs.group_dro",
                "phoenix_assets.search.sequences",
                "phoenix_assets.search.recipe",
            ),
            config=config,
            deps=[weights, tokens, _TOKENIZER],
            says="The recipe whose weights a proxy learned from its excess losses over a reference.",
            kinds=("nemo", "pytorch"),
            pool="training",
        )
    )
    def reweighting(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.search.pictures import path_pictures
        from resources.proxies import Proxies
        from training_jobs.group_dro import read_domain_weights

        build = _training_build(context, phoenix, search, config, weights)
        proxies = Proxies(context, build, phoenix.path, name, search)
        now = _mixtures(build, weights)[0]
        learned = proxies.of_reweighting(reference=proxies.of_mixture(now))
        path = read_domain_weights(learned.state_dir, search.proxy.steps)
        share = sum(now[part] for part in search.components)
        proposed = now | dict(zip(search.components, (share * path.mean(axis=0)).tolist(), strict=True))
        return _recommended(
            build,
            search,
            proposed,
            now,
            f"{search.mixture} with the weights that the search {name} learned by group DRO (DoReMi), the mean over "
            f"{len(path)} steps.",
            pictures=path_pictures(name, search.components, path),
            extra={"job_key": learned.job.job_key},
        )

    return reweighting


def _recommended(
    build: Build,
    search: Search,
    proposed: Mapping[str, float],
    now: Mapping[str, float],
    comment: str,
    *,
    pictures: Mapping[str, bytes],
    extra: Mapping[str, str | float],
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Commit the recipe of the proposed weights, and show them beside those of now."""
    from phoenix_assets.search.recipe import recipe_yaml
    from resources.proxies import estimates_per_token

    estimates = estimates_per_token(build, search.mixture)
    text = recipe_yaml(search.mixture, proposed, search.components, estimates, comment)
    with build.lake.scratch() as folder:
        (Path(folder) / RECIPE_FILE).write_text(text, "utf-8")
        stored = build.commit_files(Path(folder))
    table = pl.DataFrame(
        [(part, now[part], proposed[part]) for part in search.components],
        schema=["component", "share_now", "share_proposed"],
        orient="row",
    )
    recipe = dg.MetadataValue.md(f"```yaml\n{text}```")
    return materialized(stored, pictures=pictures, sample=table, extra={"recipe": recipe, **extra})

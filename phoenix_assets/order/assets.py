"""`order/<experiment>`: which sequences of a mixture's tokens each step of a run trains on."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import polars as pl

from phoenix_assets.errors import ConfigError
from phoenix_assets.order.config import DataOrder
from resources.declare import Automation, declared
from resources.phoenix import Phoenix
from resources.report import materialized

_KERNELS = (
    "phoenix_assets.order.plan",
    "phoenix_assets.order.stream",
    "phoenix_assets.order.places",
    "phoenix_assets.order.belonging",
    "phoenix_assets.order.similarity",
    "training_jobs.data_order",
)


def order_key(experiment: str) -> str:
    """Return the asset path of an experiment's data-order plan."""
    return f"order/{experiment}"


def order_assets(
    orders: Mapping[str, DataOrder], versions: Mapping[str, Automation]
) -> list[dg.AssetsDefinition]:
    """Return the data-order plan of each experiment; like training, it is made when a person asks.

    Raises ConfigError for an experiment with a mixture that is not among `versions`.
    """
    for experiment, order in orders.items():
        if order.mixture not in versions:
            raise ConfigError(
                f"experiments/{experiment}.yaml: no mixture {order.mixture!r}; there are: {', '.join(versions)}"
            )
    return [
        _order(experiment, order, versions[order.mixture].asked()) for experiment, order in orders.items()
    ]


def _order(experiment: str, order: DataOrder, automation: Automation) -> dg.AssetsDefinition:
    config = {"order": order.model_dump(mode="json")}
    tokens = order.tokens

    @dg.asset(
        **declared(
            order_key(experiment),
            room="order",
            kernels=_KERNELS,
            config=config,
            deps=[tokens],
            automation=automation,
            kinds=("deltalake", "numpy"),
            description=f"Which sequences of {tokens} each step of {experiment} trains on.",
        )
    )
    def plan(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.order.plan import build_plan, repeats, spread
        from resources.order_inputs import order_corpus

        build = phoenix.start(context, config=config, same=[tokens])
        corpus = order_corpus(build, order)
        made, stream = build_plan(corpus, order)
        repeated = repeats(corpus, order)
        with phoenix.lake.scratch() as folder:
            header = made.save(Path(folder))
            stored = build.commit_files(
                Path(folder),
                counts={
                    "sequences": header.sequences,
                    "steps": made.steps,
                    "documents": len(stream.rows),
                    "left_out_by_max_epochs": int(repeated["left_out"].sum()),
                },
            )
        shares = spread(made, stream, corpus)
        return materialized(
            stored,
            sample=repeated,
            pictures=_pictures(experiment, shares, repeated),
            extra={"fingerprint": header.fingerprint},
        )

    return plan


def _pictures(experiment: str, shares: pl.DataFrame, repeated: pl.DataFrame) -> dict[str, bytes]:
    from phoenix_assets.figures import bars, lines

    series = {
        str(name): (rows["step"].to_list(), (100 * rows["share"]).to_list())
        for (name,), rows in shares.partition_by("component", as_dict=True, maintain_order=True).items()
    }
    times = repeated.group_by("repeats").agg(pl.col("documents").sum()).sort("repeats")
    return {
        "spread": lines(
            series, title=f"{experiment}: components over the steps", x="step", y="% of sequences"
        ),
        "epochs": bars(
            {f"{count} ×": documents for count, documents in times.iter_rows()},
            title=f"{experiment}: how often the plan has a document",
            unit="documents",
        ),
    }

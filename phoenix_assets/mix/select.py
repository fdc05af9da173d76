"""Selection: which documents a mixture takes, in which component and split, and how many copies of each.

Every input document gets exactly one row. The steps, each a draw by document hash that shares no chance with
the others: the first component whose conditions hold takes the document; held-out and then validation
documents are carved by hash, whatever the rates are; of the rest, copy k (from 0) of a document with the
uniform number u is taken when k + u < epochs. A higher rate or cap therefore only adds copies, never
exchanges them.
"""

from enum import StrEnum
from typing import Final

import polars as pl

from phoenix_assets import draw
from phoenix_assets.errors import ConservationError
from phoenix_assets.mix.config import Component, Mixture

KERNEL_VERSION: Final = "1"


class Split(StrEnum):
    """What a document of the mixture is for; `none` means that it is not in the mixture."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELDOUT = "heldout"
    NONE = "none"


class NotChosen(StrEnum):
    """Why a document is not in the mixture."""

    NO_COMPONENT = "no_component"  # no component reads such a document
    BELOW_QUALITY = "below_quality"  # only its quality (or the lack of a score) keeps it out of a component
    SAMPLED_OUT = "sampled_out"  # its number is not under the component's rate
    OVER_CAP = "over_cap"  # sampled, but the component's cap_tokens was reached before it


SELECTION: Final = pl.Schema(
    {
        "doc_id": pl.String,
        "source": pl.String,
        "delivery": pl.String,
        "component": pl.String,  # null for no_component and below_quality
        "split": pl.String,  # a Split value
        "copies": pl.Int32,  # how many times the split holds the document; 0 in split none
        "chars": pl.Int64,  # of the text
        "est_tokens": pl.Int64,  # estimated tokens of ONE copy
        "reason": pl.String,  # a NotChosen value, null for a document that is in the mixture
    }
)


def select(documents: pl.DataFrame, recipe: Mixture) -> pl.DataFrame:
    """Return one SELECTION row per row of `documents`, in the same order.

    `documents` has doc_id, source, delivery, lang, tags (List[String]), chars, quality (Float64, null where
    not scored) and bytes (stored UTF-8 bytes of the text); more columns do no harm. What a document gets does
    not depend on the order of rows. Raises ConservationError for a doc_id that occurs twice.
    """
    _refuse_repeated_ids(documents)
    rows = _assigned(documents, recipe)
    training = rows.filter(pl.col("split") == Split.TRAIN.value)
    rated = {name: part.epochs for name, part in recipe.components.items() if part.epochs is not None}
    taken = _taken(training, rated, recipe)
    weighted = _weighted_epochs(training, taken, recipe)
    taken = pl.concat([taken, _taken(training, weighted, recipe)])
    return (
        rows.join(taken, on="doc_id", how="left", maintain_order="left")
        .with_columns(copies=pl.coalesce("copies", pl.col("component").is_not_null().cast(pl.Int32)))
        .with_columns(
            split=pl.when(pl.col("copies") > 0).then("split").otherwise(pl.lit(Split.NONE.value)),
            reason=_reason(),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in SELECTION.items())
    )


def _refuse_repeated_ids(documents: pl.DataFrame) -> None:
    repeated = documents["doc_id"].filter(documents["doc_id"].is_duplicated())
    if len(repeated):
        raise ConservationError(
            f"doc_id {repeated[0]!r} occurs more than once among the documents ({len(repeated)} such rows);"
            " look for a delivery that was read twice upstream"
        )


def _assigned(documents: pl.DataFrame, recipe: Mixture) -> pl.DataFrame:
    """Return per document its component, its split before sampling, its tokens and its number `u`."""
    doc_ids = documents["doc_id"]
    heldout = draw.uniform(doc_ids, salt="heldout", seed=recipe.heldout.seed) < recipe.heldout.fraction
    validation = (
        draw.uniform(doc_ids, salt="validation", seed=recipe.validation.seed) < recipe.validation.fraction
    )
    parts = recipe.components.items()
    return documents.select(
        "doc_id",
        "source",
        "delivery",
        "chars",
        component=pl.coalesce(
            pl.when(_fits(part) & _good_enough(part)).then(pl.lit(name)) for name, part in parts
        ),
        fits=pl.any_horizontal(_fits(part) for _, part in parts),
        est_tokens=(pl.col("bytes") / recipe.bytes_per_token).ceil().cast(pl.Int64),
        u=draw.uniform(doc_ids, salt="sample", seed=recipe.seed),
    ).with_columns(
        split=pl.when(pl.col("component").is_null())
        .then(pl.lit(Split.NONE.value))
        .when(heldout)
        .then(pl.lit(Split.HELDOUT.value))
        .when(validation)
        .then(pl.lit(Split.VALIDATION.value))
        .otherwise(pl.lit(Split.TRAIN.value))
    )


def _fits(part: Component) -> pl.Expr:
    """Whether a document meets the component's conditions, its quality aside."""
    conditions = [pl.col("source").is_in(part.sources)]
    if part.languages is not None:
        conditions.append(pl.col("lang").is_in(part.languages))
    if part.deliveries is not None:
        conditions.append(pl.col("delivery").is_in(part.deliveries))
    conditions.extend(pl.col("tags").list.contains(tag) for tag in part.tags or ())
    return pl.all_horizontal(conditions).fill_null(False)


def _good_enough(part: Component) -> pl.Expr:
    if part.min_quality is None:
        return pl.lit(True)
    return (pl.col("quality") >= part.min_quality).fill_null(False)


def _taken(training: pl.DataFrame, epochs: dict[str, float], recipe: Mixture) -> pl.DataFrame:
    """Return doc_id, copies, sampled (copies before the cap) and tokens of the components in `epochs`.

    Under a cap, copies enter in the order of k + u until the next one would pass it.
    """
    amounts = pl.DataFrame(
        [(name, passes, recipe.components[name].cap_tokens) for name, passes in epochs.items()],
        schema={"component": pl.String, "epochs": pl.Float64, "cap": pl.Int64},
        orient="row",
    )
    available = pl.col("est_tokens").sum().over("component").clip(lower_bound=1)
    up_to_here = pl.col("est_tokens").cum_sum().over("component", order_by=["u", "doc_id"])
    return (
        training.join(amounts, on="component")
        .with_columns(
            sampled=(pl.col("epochs") - pl.col("u")).ceil().clip(lower_bound=0).cast(pl.Int32),
            allowed=pl.col("cap") // available + (up_to_here <= pl.col("cap") % available).cast(pl.Int64),
        )
        .with_columns(copies=pl.min_horizontal("sampled", "allowed").cast(pl.Int32))
        .select("doc_id", "copies", "sampled", tokens=pl.col("copies") * pl.col("est_tokens"))
    )


def _weighted_epochs(training: pl.DataFrame, rated: pl.DataFrame, recipe: Mixture) -> dict[str, float]:
    """Return the passes over each weighted component that give it its share of the training tokens.

    Next to components with a rate, the total T follows from their tokens: T = rated / (1 - sum of weights).
    Without them T is the largest total that no component's max_epochs or cap forbids. A component that cannot
    reach its share stays below it; one without documents is left out.
    """
    weights = {name: part.weight for name, part in recipe.components.items() if part.weight is not None}
    tokens = dict(training.group_by("component").agg(pl.col("est_tokens").sum()).iter_rows())
    available = {name: tokens[name] for name in weights if tokens.get(name, 0) > 0}
    if not available:
        return {}
    most = {name: recipe.components[name].max_epochs * count for name, count in available.items()}
    rated_tokens = int(rated["tokens"].sum())
    if rated_tokens:
        total = rated_tokens / (1 - sum(weights.values()))
    else:
        total = min(
            min(most[name], recipe.components[name].cap_tokens or most[name]) / weights[name]
            for name in available
        )
    return {name: min(total * weights[name], most[name]) / available[name] for name in available}


def _reason() -> pl.Expr:
    return (
        pl.when(pl.col("component").is_null() & pl.col("fits"))
        .then(pl.lit(NotChosen.BELOW_QUALITY.value))
        .when(pl.col("component").is_null())
        .then(pl.lit(NotChosen.NO_COMPONENT.value))
        .when(pl.col("copies") > 0)
        .then(pl.lit(None, dtype=pl.String))
        .when(pl.col("sampled") > 0)
        .then(pl.lit(NotChosen.OVER_CAP.value))
        .otherwise(pl.lit(NotChosen.SAMPLED_OUT.value))
    )

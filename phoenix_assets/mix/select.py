"""Selection: which documents a mixture takes, in which component and split, and how many copies of each.

Every candidate gets exactly one row. What a document gets depends on itself and on the amounts that were settled over
all of them (`amounts`), so documents are decided in batches of any size and in any order. A higher rate or cap only
adds copies, never exchanges them.
"""

from enum import StrEnum
from typing import Final

import polars as pl

from phoenix_assets.errors import ConservationError
from phoenix_assets.mix.amounts import Amounts, settle
from phoenix_assets.mix.assign import SPLIT, Split, assign, by_part, copies
from phoenix_assets.mix.config import Mixture

KERNEL_VERSION: Final = "2"


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
    """Return one SELECTION row per row of `documents` (CANDIDATE), in the same order.

    Raises ConservationError for a doc_id that occurs twice.
    """
    _refuse_repeated_ids(documents)
    return decide(documents, recipe, settle(lambda: [documents], recipe))


def decide(documents: pl.DataFrame, recipe: Mixture, amounts: Amounts) -> pl.DataFrame:
    """Return one SELECTION row per row of `documents`, in the same order, by amounts that were settled over all."""
    rows = _with_copies(assign(documents, recipe, amounts.replayed), recipe, amounts)
    taken, nowhere = pl.col("copies") > 0, pl.lit(Split.NONE.value, SPLIT)
    reason = (
        pl.when(taken)
        .then(None)
        .when(pl.col("component").is_null() & pl.col("fits"))
        .then(pl.lit(NotChosen.BELOW_QUALITY.value))
        .when(pl.col("component").is_null())
        .then(pl.lit(NotChosen.NO_COMPONENT.value))
        .when(pl.col("sampled") > 0)
        .then(pl.lit(NotChosen.OVER_CAP.value))
        .otherwise(pl.lit(NotChosen.SAMPLED_OUT.value))
    )
    decided = rows.with_columns(
        split=pl.when(taken).then("split").otherwise(nowhere),
        reason=reason,
        component=pl.Series(list(recipe.parts)).gather(rows["component"]),
        est_tokens="tokens",
    )
    kept = documents.select("doc_id", "source", "delivery", "chars")
    return pl.concat([kept, decided], how="horizontal").select(
        pl.col(name).cast(dtype) for name, dtype in SELECTION.items()
    )


def _with_copies(rows: pl.DataFrame, recipe: Mixture, amounts: Amounts) -> pl.DataFrame:
    """Return `rows` (as of `assign`) with `copies`, and `sampled`: the copies before the cap."""
    number = rows["component"]

    def of_component(values: dict[str, float], default: float) -> pl.Expr:
        return pl.lit(pl.Series(by_part(values, recipe, default)).gather(number))

    sampled = copies(of_component(dict(amounts.epochs), 0.0), pl.col("u"))
    if amounts.caps:
        passes = of_component({name: cap.passes for name, cap in amounts.caps.items()}, float("inf"))
        below = of_component({name: cap.below for name, cap in amounts.caps.items()}, 1.0)
        allowed = pl.min_horizontal(pl.col("sampled"), passes + (pl.col("u") < below))
    else:
        allowed = pl.col("sampled")
    training = pl.col("split") == pl.lit(Split.TRAIN.value, SPLIT)
    return rows.with_columns(sampled=sampled).with_columns(
        copies=pl.when(pl.col("replays") > 0)
        .then("replays")
        .when(training)
        .then(allowed)
        .otherwise(pl.col("component").is_not_null().cast(pl.Int32))
        .fill_null(0)
        .cast(pl.Int32)
    )


def _refuse_repeated_ids(documents: pl.DataFrame) -> None:
    repeated = documents["doc_id"].filter(documents["doc_id"].is_duplicated())
    if len(repeated):
        raise ConservationError(
            f"doc_id {repeated[0]!r} occurs more than once among the documents ({len(repeated)} such rows);"
            " look for a delivery that was read twice upstream"
        )

"""The licence gate: what enters a mixture has a licence that is in force and allows pretraining."""

from datetime import date
from enum import StrEnum
from typing import Final

import polars as pl

from phoenix_assets.errors import DeliveryError

PRETRAINING: Final = "pretraining"
_NAMED_IN_MESSAGE: Final = 10  # deliveries that an error message lists before it only counts

LICENCES: Final = pl.Schema(
    {
        "source": pl.String(),
        "delivery": pl.String(),
        "licence_id": pl.String(),  # null or "" when the delivery came without one
        "expires": pl.Date(),  # last day on which the licence holds; null: it does not end
        "allows": pl.List(pl.String()),  # purposes, among them "pretraining"
    }
)


class Refusal(StrEnum):
    """Why a delivery is refused; the first that applies."""

    NO_LICENCE = "no_licence"
    EXPIRED = "expired"
    PURPOSE = "purpose_not_allowed"


def refuse_licences(licences: pl.DataFrame, on: date, *, purpose: str = PRETRAINING) -> pl.DataFrame:
    """Return the deliveries whose licence does not allow `purpose` on day `on`, with `reason` (a Refusal).

    `licences` has the schema LICENCES, a row per delivery; so has the result, sorted by source and delivery.
    It is empty when all may be used.
    """
    allowed = pl.col("allows").list.contains(purpose).fill_null(False)
    reason = (
        pl.when(pl.col("licence_id").fill_null("").str.strip_chars() == "")
        .then(pl.lit(Refusal.NO_LICENCE.value))
        .when((pl.col("expires") < on).fill_null(False))
        .then(pl.lit(Refusal.EXPIRED.value))
        .when(~allowed)
        .then(pl.lit(Refusal.PURPOSE.value))
    )
    return (
        licences.select(pl.col(name).cast(dtype) for name, dtype in LICENCES.items())
        .with_columns(reason=reason)
        .filter(pl.col("reason").is_not_null())
        .sort("source", "delivery")
    )


def require_licences(licences: pl.DataFrame, on: date, *, purpose: str = PRETRAINING) -> None:
    """Raise DeliveryError naming every delivery that `refuse_licences` returns (the first ones, if many)."""
    refused = refuse_licences(licences, on, purpose=purpose)
    if refused.is_empty():
        return
    named = "; ".join(
        f"{row['source']}/{row['delivery']}: {_because(row, purpose)}"
        for row in refused.head(_NAMED_IN_MESSAGE).iter_rows(named=True)
    )
    rest = refused.height - _NAMED_IN_MESSAGE
    more = f"; and {rest} more" if rest > 0 else ""
    raise DeliveryError(
        f"{refused.height} delivery(ies) may not be used for {purpose} on {on}: {named}{more}."
        " Renew the licence in the delivery's manifest, or leave the delivery out of the mixture's components"
    )


def _because(row: dict[str, object], purpose: str) -> str:
    match row["reason"]:
        case Refusal.NO_LICENCE:
            return "no licence"
        case Refusal.EXPIRED:
            return f"licence {row['licence_id']} expired on {row['expires']}"
        case _:
            return f"licence {row['licence_id']} allows {row['allows']}, not {purpose}"

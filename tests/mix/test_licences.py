"""The licence gate names each delivery that may not be trained on, and why."""

from datetime import date

import polars as pl
import pytest

from phoenix_assets.errors import DeliveryError
from phoenix_assets.mix.licences import LICENCES, refuse_licences, require_licences

TODAY = date(2026, 3, 1)


def licences(*rows: tuple[str, str | None, date | None, list[str] | None]) -> pl.DataFrame:
    return pl.DataFrame([("book", *row) for row in rows], schema=LICENCES, orient="row")


def test_a_licence_holds_through_its_last_day():
    frame = licences(("b1", "L1", TODAY, ["pretraining"]), ("b2", "L2", None, ["pretraining", "evaluation"]))
    assert refuse_licences(frame, TODAY).is_empty()


def test_each_refusal_has_its_reason():
    frame = licences(
        ("b1", "L1", date(2026, 2, 28), ["pretraining"]),
        ("b2", "L2", None, ["evaluation"]),
        ("b3", None, None, ["pretraining"]),
        ("b4", "L4", None, None),
        ("b5", "L5", None, ["pretraining"]),
    )
    assert dict(refuse_licences(frame, TODAY).select("delivery", "reason").iter_rows()) == {
        "b1": "expired",
        "b2": "purpose_not_allowed",
        "b3": "no_licence",
        "b4": "purpose_not_allowed",
    }


def test_the_error_names_delivery_licence_and_day():
    with pytest.raises(DeliveryError, match="book/b1: licence L1 expired on 2026-02-28"):
        require_licences(licences(("b1", "L1", date(2026, 2, 28), ["pretraining"])), TODAY)


def test_deliveries_in_order_pass():
    require_licences(licences(("b1", "L1", None, ["pretraining"])), TODAY)

"""The order in which documents are decided: the same whether it takes Polars or DuckDB to sort them."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phoenix_assets.dedup.candidates import DeliveryInput, Sorting, candidates

SCHEMA = {"doc_id": pl.String, "lang": pl.String, "print": pl.Binary, "delivery_number": pl.Int32}
QUALITY = st.sampled_from([None, -0.0, 0.0, 0.5, float("inf"), float("-inf"), float("nan")])
RECEIVED = st.sampled_from([None, date(2024, 1, 1), date(2024, 1, 2)])
DOCUMENTS = st.lists(st.tuples(QUALITY, RECEIVED, st.booleans(), st.booleans()), max_size=12)


def _delivery(
    folder: Path, number: int, rows: list[tuple[float | None, date | None, bool, bool]]
) -> DeliveryInput:
    documents = pl.DataFrame(
        {
            "doc_id": pl.Series([f"{7 * place % 31:032x}" for place in range(len(rows))], dtype=pl.String),
            "lang": pl.Series(["zh" if place % 2 else "en" for place in range(len(rows))], dtype=pl.String),
            "quality": pl.Series([row[0] for row in rows], dtype=pl.Float64),
            "received": pl.Series([row[1] for row in rows], dtype=pl.Date),
            "signature": pl.Series([bytes([number, place]) for place in range(len(rows))], dtype=pl.Binary),
            "kept": pl.Series([row[2] for row in rows], dtype=pl.Boolean),
        }
    )
    signatures, decisions = folder / f"{number}.parquet", folder / f"{number}-decisions.parquet"
    documents.drop("kept").write_parquet(signatures)
    documents.select("doc_id", "kept").write_parquet(decisions)
    return DeliveryInput(
        f"s{number % 2}", f"d{9 - number}", number % 2, "v", (signatures,), (decisions,) if number else ()
    )


def _order(deliveries: list[DeliveryInput], folder: Path) -> pl.DataFrame:
    chosen = pl.DataFrame({"doc_id": [f"{number:032x}" for number in range(0, 31, 2)]})
    numbered = [*enumerate(deliveries)]
    blocks = [*candidates(numbered, "signature", Sorting("1GiB", folder, 5), chosen=chosen, partly=[1])]
    assert all(one.height == 5 for one in blocks[:-1])
    return pl.concat([pl.DataFrame(schema=SCHEMA), *blocks])


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DOCUMENTS, min_size=1, max_size=3))
def test_documents_come_in_one_order_whatever_sorts_them(tmp_path, rows):
    deliveries = [_delivery(tmp_path, number, documents) for number, documents in enumerate(rows)]
    by_polars = _order(deliveries, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phoenix_assets.dedup.candidates._fits", lambda *_: False)
        assert _order(deliveries, tmp_path).equals(by_polars)

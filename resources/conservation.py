"""The check that no stage loses or invents a document, made on what the lake holds after the commit."""

from collections.abc import Collection

import dagster as dg
import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import KEPT
from resources.build import Build
from resources.declare import CONSERVATION

_ID = pl.col("doc_id").hash()  # what of each document is held in memory: eight bytes


def conservation(
    build: Build, stored: StoredRecord, *, upstream: Collection[str] = ()
) -> dg.AssetCheckResult:
    """Return whether rows in = rows kept + rows dropped, each once and each drop with a reason.

    Rows in must equal the rows of the `upstream` assets that were read; none where the inputs are files.
    """
    record = stored.record
    problems: list[str] = []
    ledger = build.lake.read(record.side_tables[SideTable.LEDGER])
    documents = build.lake.read(stored.as_input())
    in_ledger = _measured(ledger)
    kept, rows = in_ledger["kept"], _count(documents)
    if repeated := repeated_rows(ledger, in_ledger["rows"]):
        problems.append(f"{repeated} ledger rows repeat a document")
    if kept != rows:
        problems.append(f"the ledger keeps {kept} rows, the table holds {rows}")
    if in_ledger["unexplained"]:
        problems.append(f"{in_ledger['unexplained']} drops have no reason")
    if "doc_id" in documents.collect_schema() and (
        strange := strangers(documents, document_hashes(ledger.filter("kept"), kept))
    ):
        problems.append(f"{strange} documents in the table are not kept in the ledger")
    inputs = build.ledger.records_of(source for source in build.inputs if source.asset in upstream)
    expected = sum(stored.record.counts["rows_out"] for stored in inputs)
    if upstream and expected != in_ledger["rows"]:
        problems.append(f"{expected} documents upstream, {in_ledger['rows']} in the ledger")
    return dg.AssetCheckResult(
        passed=not problems,
        check_name=CONSERVATION,
        asset_key=dg.AssetKey(build.asset.split("/")),
        metadata={
            "rows_in": in_ledger["rows"],
            "rows_kept": kept,
            "rows_dropped": in_ledger["rows"] - kept,
            "problems": "; ".join(problems) or "none",
        },
    )


def _measured(ledger: pl.LazyFrame) -> dict[str, int]:
    """Return what a LEDGER holds."""
    dropped = ~pl.col("kept")
    measures = ledger.select(
        rows=pl.len(),
        kept=pl.col("kept").sum(),
        unexplained=(dropped & pl.col("drop_reason").is_in(["", KEPT])).sum(),
    )
    return measures.collect(engine="streaming").row(0, named=True)


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def repeated_rows(rows: pl.LazyFrame, count: int) -> int:
    """Return how many of `count` rows are of a document that another row is of."""
    hashes = document_hashes(rows, count)
    return int(np.count_nonzero(hashes[1:] == hashes[:-1]))


def strangers(rows: pl.LazyFrame, known: npt.NDArray[np.uint64]) -> int:
    """Return how many rows are of a document that is not among the sorted hashes `known`."""
    batches = (batch["doc_id"].to_numpy() for batch in rows.select(_ID).collect_batches())
    places = ((np.searchsorted(known, one), np.searchsorted(known, one, "right")) for one in batches)
    return sum(int(np.count_nonzero(before == after)) for before, after in places)


def document_hashes(rows: pl.LazyFrame, count: int) -> npt.NDArray[np.uint64]:
    """Return the documents' hashes in order, batch by batch: a join or `n_unique` would hold several times as much."""
    hashes, at = np.empty(count, np.uint64), 0
    for batch in rows.select(_ID).collect_batches():
        hashes[at : at + batch.height] = batch["doc_id"].to_numpy()
        at += batch.height
    hashes.sort()
    return hashes

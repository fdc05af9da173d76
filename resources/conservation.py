"""The check that no stage loses or invents a document, made on what the lake holds after the commit."""

from collections.abc import Collection

import dagster as dg
import polars as pl

from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import KEPT
from resources.build import Build
from resources.declare import CONSERVATION


def conservation(
    build: Build, stored: StoredRecord, *, upstream: Collection[str] = ()
) -> dg.AssetCheckResult:
    """Return whether rows in = rows kept + rows dropped, each once and each drop with a reason.

    Rows in must equal the rows of the `upstream` assets that were read; none where the inputs are files.
    """
    record = stored.record
    problems: list[str] = []
    columns = ("doc_id", "kept", "drop_reason")
    ledger = build.lake.read(record.side_tables[SideTable.LEDGER]).select(columns).collect(engine="streaming")
    kept = ledger.filter("kept")
    documents = build.lake.read(stored.as_input())
    rows = int(documents.select(pl.len()).collect().item())
    if ledger["doc_id"].n_unique() != ledger.height:
        problems.append(f"{ledger.height - ledger['doc_id'].n_unique()} ledger rows repeat a document")
    if kept.height != rows:
        problems.append(f"the ledger keeps {kept.height} rows, the table holds {rows}")
    unexplained = ledger.filter(~pl.col("kept") & pl.col("drop_reason").is_in(["", KEPT])).height
    if unexplained:
        problems.append(f"{unexplained} drops have no reason")
    if "doc_id" in documents.collect_schema():
        strangers = documents.select("doc_id").join(kept.lazy(), on="doc_id", how="anti")
        if strange := int(strangers.select(pl.len()).collect().item()):
            problems.append(f"{strange} documents in the table are not kept in the ledger")
    inputs = build.ledger.records_of(source for source in build.inputs if source.asset in upstream)
    expected = sum(stored.record.counts["rows_out"] for stored in inputs)
    if upstream and expected != ledger.height:
        problems.append(f"{expected} documents upstream, {ledger.height} in the ledger")
    return dg.AssetCheckResult(
        passed=not problems,
        check_name=CONSERVATION,
        asset_key=dg.AssetKey(build.asset.split("/")),
        metadata={
            "rows_in": ledger.height,
            "rows_kept": kept.height,
            "rows_dropped": ledger.height - kept.height,
            "problems": "; ".join(problems) or "none",
        },
    )

"""Register a delivery: every file that its manifest promises is checked; the bad ones go to quarantine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from phoenix_assets.ingest.delivery import (
    MANIFEST_NAME,
    DeliveredFile,
    DeliveryManifest,
    DeliveryRejected,
    verify,
)
from phoenix_assets.lineage import LicenceTerms
from phoenix_assets.schema import KEPT, LEDGER, QUARANTINE, Stage, StageOutput, document_id, ledger_rows

KERNEL_VERSION: Final = "2"

RAW_FILE: Final = pl.Schema(
    {
        "source": pl.String,
        "delivery": pl.String,
        "file": pl.String,  # path within the delivery, as its manifest names it
        "bytes": pl.Int64,
        "sha256": pl.String,
        "format": pl.String,
        "vendor": pl.String,
        "licence": pl.String,  # SPDX identifier
        "received": pl.String,  # ISO date
        "fields": pl.String,  # the delivery's own field map as JSON, "" if it has none
    }
)


def licence_terms(manifest: DeliveryManifest) -> LicenceTerms:
    """Return the licence of a delivery as lineage carries it."""
    expires = manifest.licence.expires
    return LicenceTerms(
        source=manifest.source,
        delivery=manifest.delivery,
        licence=manifest.licence.id,
        expires=expires.isoformat() if expires else None,
        allows=tuple(sorted(use.value for use in manifest.licence.allows)),
    )


def register(folder: Path, manifest: DeliveryManifest) -> Iterator[StageOutput]:
    """Yield one output: RAW_FILE rows of the good files, a ledger row for each file, the bad ones in quarantine.

    A problem of the delivery as a whole (it holds nothing) is a problem of each of its files.
    """
    problems = verify(folder, manifest)
    whole = [problem for problem in problems if not problem.file]
    bad = {problem.file: problem for problem in problems if problem.file} | {
        file.path: problem for file in manifest.files for problem in whole
    }
    good = [file for file in manifest.files if file.path not in bad]
    yield StageOutput(
        documents=pl.DataFrame([_row(manifest, file) for file in good], schema=RAW_FILE, orient="row"),
        ledger=_ledger(manifest, bad),
        quarantine=pl.DataFrame(
            [_quarantined(manifest, file, problem) for file, problem in sorted(bad.items())]
            or [_quarantined(manifest, MANIFEST_NAME, problem) for problem in whole],
            schema=QUARANTINE,
            orient="row",
        ),
        counts={"bytes": sum(file.bytes for file in good)},
    )


def _row(manifest: DeliveryManifest, file: DeliveredFile) -> tuple[str | int, ...]:
    return (
        manifest.source, manifest.delivery, file.path, file.bytes, file.sha256, manifest.format,
        manifest.vendor, manifest.licence.id, manifest.received.isoformat(),
        manifest.fields.model_dump_json() if manifest.fields else "",
    )  # fmt: skip


def _ledger(manifest: DeliveryManifest, bad: dict[str, DeliveryRejected]) -> pl.DataFrame:
    files = pl.DataFrame(
        {
            "doc_id": [document_id(manifest.source, manifest.delivery, file.path) for file in manifest.files],
            "delivery": manifest.delivery,
            "text": "",
            "reason": [bad[file.path].reason.value if file.path in bad else KEPT for file in manifest.files],
        }
    )
    rows = ledger_rows(files, Stage.RAW, kept=pl.col("reason") == KEPT, drop_reason=pl.col("reason"))
    return rows.match_to_schema(LEDGER)


def _quarantined(manifest: DeliveryManifest, file: str, problem: DeliveryRejected) -> tuple[str | bytes, ...]:
    return (
        manifest.source, manifest.delivery, file, "", Stage.RAW.value, problem.reason.value,
        str(problem), b"",
    )  # fmt: skip

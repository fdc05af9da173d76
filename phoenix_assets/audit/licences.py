"""Which licences expire, or have expired, and what stands on them: mixtures, tokens, runs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from phoenix_assets.audit.closure import with_verification
from phoenix_assets.audit.document import mixtures_to_look_at
from phoenix_assets.audit.exposure import seen_by_delivery
from phoenix_assets.audit.runs import TrainedRun, trained_runs
from phoenix_assets.lineage import LicenceTerms, StoredRecord
from phoenix_assets.schema import Stage
from resources.lake import Lake
from resources.ledger import LineageLedger

_PLACE = ["source", "delivery"]


def audit_licences(
    lake: Lake, ledger: LineageLedger, today: date, within: timedelta | None, *, verified: bool = True
) -> dict[str, Any]:
    """Return the licences that end until `today` + `within` (None: all), soonest first, and what stands on each.

    Tokens of mixtures are estimates where no shards were written.
    """
    with ledger.connect():
        raw = ledger.all_heads(lake.assets_called(Stage.RAW))
        tagged = ledger.all_heads(lake.assets_called(Stage.TAGGED))
        runs = list(trained_runs(lake, ledger))
        mixtures = mixtures_to_look_at(lake, ledger, runs)
    delivered = [stored for partitions in raw.values() for stored in partitions.values()]
    chosen = [one for one in delivered if any(_ends(term, today, within) for term in one.record.licences)]
    chosen_of = _by_place(_of_mixtures(lake, mixtures)) if chosen else {}
    seen_of = _by_place(_of_runs(runs)) if chosen else {}
    rows = [
        {
            **term.model_dump(mode="json"),
            "days_left": (date.fromisoformat(term.expires) - today).days if term.expires else None,
            "documents": _documents(tagged, term),
            "mixtures": chosen_of.get((term.source, term.delivery), []),
            "runs": seen_of.get((term.source, term.delivery), []),
        }
        for stored in chosen
        for term in stored.record.licences
        if _ends(term, today, within)
    ]
    found = {
        "kind": "licences",
        "licences": {
            "today": today.isoformat(),
            "until": (today + within).isoformat() if within is not None else None,
            "deliveries": len(delivered),
        },
        "expiring": sorted(rows, key=lambda row: (row["expires"] or "9999", row["source"], row["delivery"])),
    }
    return with_verification(lake, found, chosen, verified=verified)


def _ends(term: LicenceTerms, today: date, within: timedelta | None) -> bool:
    if within is None:
        return True
    return term.expires is not None and date.fromisoformat(term.expires) <= today + within


def _documents(tagged: Mapping[str, Mapping[str, StoredRecord]], term: LicenceTerms) -> int:
    """Return how many documents of a delivery went all the way."""
    stored = tagged.get(f"{term.source}/{Stage.TAGGED}", {}).get(term.delivery)
    return 0 if stored is None else stored.record.counts["rows_out"]


def _of_mixtures(lake: Lake, mixtures: Iterable[StoredRecord]) -> pl.DataFrame:
    frames = [
        lake.read_commit(stored.as_input())
        .group_by(_PLACE)
        .agg(documents=pl.len(), estimated_tokens=(pl.col("copies") * pl.col("est_tokens")).sum())
        .select(*_PLACE, pl.lit(stored.record.asset).alias("mixture"), "documents", "estimated_tokens")
        for stored in mixtures
    ]
    empty = pl.LazyFrame(schema=dict.fromkeys(_PLACE, pl.String))
    return pl.concat([empty, *frames], how="diagonal_relaxed").collect(engine="streaming").sort(pl.all())


def _of_runs(runs: Sequence[TrainedRun]) -> pl.DataFrame:
    frames = [
        seen_by_delivery([(run.run, run.steps)]).with_columns(
            run=pl.lit(f"train/{run.experiment}"), checkpoints=pl.lit(len(run.checkpoints))
        )
        for run in runs
    ]
    empty = pl.DataFrame(schema=dict.fromkeys(_PLACE, pl.String))
    return pl.concat([empty, *frames], how="diagonal_relaxed").sort(pl.all())


def _by_place(rows: pl.DataFrame) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault((row.pop("source"), row.pop("delivery")), []).append(row)
    return found

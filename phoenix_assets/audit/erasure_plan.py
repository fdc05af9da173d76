"""What an erasure touches, before it is ordered: documents, twins, mixtures, runs that saw it, and what has to be made again.

Costs are those of last time, as the lineage records have them: seconds from start to end of each materialisation.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

from phoenix_assets.audit.documents import STAGES, Subset, locate
from phoenix_assets.audit.downstream import exposure_of
from phoenix_assets.dedup.config import Granularity
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import Stage
from resources.frozen import frozen_mixtures
from resources.lake import Lake
from resources.ledger import LineageLedger
from resources.storage_budget import tree_bytes

_TWIN: Final = ("doc_id", "source", "delivery", "duplicate_of", "granularity")
_FLOPS: Final = 6  # a parameter and token: C = 6ND
_AFTER_DEDUP: Final = ("deduped", "paragraphs", "sentences", "trimmed", "tagged")
_OWN: Final = (*(stage.value for stage in STAGES), "signatures", "paragraphs", "sentences")


def documents_named(lake: Lake, ledger: LineageLedger, doc_ids: Iterable[str]) -> list[Subset]:
    """Return documents by their deliveries. Raises LineageError for an id that no ledger knows."""
    found: dict[tuple[str, str], list[str]] = {}
    for doc_id in dict.fromkeys(doc_ids):
        place = locate(lake, ledger, doc_id).origin
        found.setdefault((place["source"], place["delivery"]), []).append(doc_id)
    return [Subset(*name, tuple(sorted(ids))) for name, ids in sorted(found.items())]


def delivery_named(lake: Lake, ledger: LineageLedger, name: str) -> Subset:
    """Return all of the delivery `source/delivery`. Raises LineageError when none was registered under that name."""
    source, _, delivery = name.partition("/")
    known = ledger.heads(f"{source}/{Stage.RAW}") if lake.exists(f"{source}/{Stage.RAW}") else {}
    if delivery not in known:
        there = ", ".join(f"{source}/{one}" for one in sorted(known)[:10])
        raise LineageError(f"no delivery {name}; there are: {there or 'none of this source'}")
    return Subset(source, delivery)


def erasure_plan(lake: Lake, ledger: LineageLedger, subsets: Sequence[Subset]) -> dict[str, Any]:
    """Return what erasing the documents of `subsets` touches and costs, as plain JSON values."""
    chains = [_chain(ledger, one) for one in subsets]
    ids = [_ids(lake, chain, one) for chain, one in zip(chains, subsets, strict=True)]
    twins = twins_of(lake, ledger, pl.concat(ids)) if ids else pl.DataFrame()
    seen = [exposure_of(lake, ledger, one) for one in subsets]
    again = _made_again(ledger, subsets, twins)
    runs = _runs(ledger, [row for one in seen for row in one["training"]])
    return {
        "kind": "erasure_plan",
        "deliveries": [
            {
                "source": one.source,
                "delivery": one.delivery,
                "whole": one.doc_ids is None,
                "documents": len(own),
                "stages": {stored.record.asset: _held(lake, stored, one) for stored in chain},
                "landed_bytes": tree_bytes(lake.home / "landing" / one.source / one.delivery),
            }
            for one, own, chain in zip(subsets, ids, chains, strict=True)
        ],
        "twins": twins.to_dicts(),
        "mixtures": _mixtures(lake, [row for one in seen for row in one["mixtures"]]),
        "runs": runs,
        "models": _models(ledger, subsets),
        "made_again": again,
        "cost": {
            "documents": sum(row["documents"] for row in again),
            "seconds": round(sum(row["seconds"] for row in again), 1),
            "training_steps": sum(row["retrain"]["steps"] for row in runs),
            "training_tokens": sum(row["retrain"]["tokens"] for row in runs),
            "training_seconds": round(sum(row["retrain"]["seconds"] for row in runs), 1),
        },
    }  # fmt: skip


def twins_of(lake: Lake, ledger: LineageLedger, doc_ids: pl.Series) -> pl.DataFrame:
    """Return the documents that stand behind `doc_ids` as duplicates, through all granularities: one row each."""
    places = [name for name in lake.assets("dedup") if name.rpartition("/")[2] in set(Granularity)]
    indexes = [stored for heads in ledger.all_heads(places).values() for stored in heads.values()]
    family, found = doc_ids, pl.DataFrame(schema=dict.fromkeys(_TWIN, pl.String))
    while True:
        behind = pl.col("duplicate_of").is_in(family.implode()) & ~pl.col("doc_id").is_in(
            pl.concat([doc_ids, found["doc_id"]]).implode()
        )
        rows = [
            lake.read(one.as_input()).filter(behind).select(_TWIN).collect(engine="streaming")
            for one in indexes
        ]
        new = pl.concat([found.clear(), *rows]).unique("doc_id", keep="first", maintain_order=True)
        if new.is_empty():
            return found.sort("source", "delivery", "doc_id")
        found, family = pl.concat([found, new]), new["doc_id"]


def fate_of_twins(
    lake: Lake, ledger: LineageLedger, twins: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return for each twin whether it is kept now (`resurrected`), or what it stands behind now (`confirmed`)."""
    rows = []
    for twin in twins:
        stored = ledger.head(f"{twin['source']}/{Stage.DEDUPED}", twin["delivery"])
        verdict = None
        if stored is not None:
            table = lake.read_commit(stored.record.side_tables[SideTable.LEDGER])
            found = table.filter(pl.col("doc_id") == twin["doc_id"]).select("kept", "duplicate_of").collect()
            verdict = found.row(0) if found.height else None
        kept, behind = verdict or (False, None)
        fate = "resurrected" if kept else "confirmed" if behind else "gone"
        rows.append(
            {name: twin[name] for name in ("doc_id", "source", "delivery")} | {"fate": fate, "behind": behind}
        )
    return rows


def _chain(ledger: LineageLedger, subset: Subset) -> list[StoredRecord]:
    assets = [f"{subset.source}/{stage}" for stage in STAGES]
    heads = ledger.all_heads(assets)
    return [heads[asset][subset.delivery] for asset in assets if subset.delivery in heads.get(asset, {})]


def _ids(lake: Lake, chain: Sequence[StoredRecord], subset: Subset) -> pl.Series:
    """Return every document of a subset, with the records that extraction could not use."""
    if subset.doc_ids is not None or not chain:
        return pl.Series("doc_id", subset.doc_ids or (), dtype=pl.String)
    table = chain[0].record.side_tables[SideTable.LEDGER]
    return lake.read_commit(table).select("doc_id").collect()["doc_id"]


def _held(lake: Lake, stored: StoredRecord, subset: Subset) -> int:
    rows = lake.read_commit(stored.as_input()).filter(subset.chosen)
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def _mixtures(lake: Lake, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return documents and tokens by mixture: an open one is made again without them, a frozen one is withdrawn."""
    frozen = frozen_mixtures(lake)
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = row["mixture"]
        is_frozen = name.partition("/")[2] in frozen
        total = found.setdefault(
            name, {"mixture": name, "withdrawn": is_frozen, "documents": 0, "estimated_tokens": 0}
        )
        total["documents"] += row["documents"]
        total["estimated_tokens"] += row["estimated_tokens"]
    return list(found.values())


def _runs(ledger: LineageLedger, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each run saw, and what training it anew costs; several deliveries add up but for their steps."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        stored = ledger.head(row["run"])
        counts = stored.record.counts if stored else {}
        tokens = counts.get("tokens_seen", 0)
        run = found.setdefault(
            row["run"],
            {
                "run": row["run"], "documents": 0, "tokens_seen": 0, "steps": [], "checkpoints": {},
                "retrain": {
                    "steps": counts.get("rows_out", 0), "tokens": tokens,
                    "flops": _FLOPS * counts.get("parameters", 0) * tokens,
                    "seconds": _seconds(stored) if stored else 0.0,
                },
            },
        )  # fmt: skip
        run["documents"] += row["documents"]
        run["tokens_seen"] += row["tokens_seen"]
        run["steps"].append(row["steps"])
        for checkpoint in row["checkpoints"]:
            seen = run["checkpoints"].setdefault(str(checkpoint["step"]), 0)
            run["checkpoints"][str(checkpoint["step"])] = seen + checkpoint["tokens_seen"]
    return list(found.values())


def _models(ledger: LineageLedger, subsets: Sequence[Subset]) -> list[dict[str, Any]]:
    """Return the models that were trained on the deliveries: they stay until somebody asks for their successors."""
    names = {(one.source, one.delivery) for one in subsets}
    heads = ledger.all_heads(ledger.lake.assets("models"))
    return [
        {"asset": asset, "seconds": _seconds(stored), "command": f"phoenix materialize --only {asset}"}
        for asset, partitions in sorted(heads.items())
        for stored in partitions.values()
        if any((one.asset.partition("/")[0], one.partition) in names for one in stored.record.inputs)
    ]


def _made_again(
    ledger: LineageLedger, subsets: Sequence[Subset], twins: pl.DataFrame
) -> list[dict[str, Any]]:
    """Return what follows: the deliveries' own chains, their groups' indexes, the deliveries of twins, open mixtures."""
    heads = ledger.all_heads()
    places: dict[tuple[str, str], None] = {}
    for one in subsets:
        places |= dict.fromkeys((f"{one.source}/{stage}", one.delivery) for stage in _OWN)
    sources = {one.source for one in subsets}
    indexes = [
        asset for asset, found in heads.items()
        if asset.startswith("dedup/") and any(_reads(stored, sources) for stored in found.values())
    ]  # fmt: skip
    places |= dict.fromkeys((asset, "") for asset in indexes)
    for source, delivery in twins.select("source", "delivery").unique(maintain_order=True).iter_rows():
        places |= dict.fromkeys((f"{source}/{stage}", delivery) for stage in _AFTER_DEDUP)
    frozen = frozen_mixtures(ledger.lake)
    for asset, found in sorted(heads.items()):
        room, _, version = asset.partition("/")
        if (
            room in ("mix", "tokens")
            and version not in frozen
            and any(_reads(one, sources) for one in found.values())
        ):
            places[asset, ""] = None
    return [
        {
            "asset": asset, "partition": partition, "documents": stored.record.counts.get("rows_out", 0),
            "seconds": _seconds(stored),
        }
        for asset, partition in places
        if (stored := heads.get(asset, {}).get(partition))
    ]  # fmt: skip


def _reads(stored: StoredRecord, sources: set[str]) -> bool:
    return any(one.asset.partition("/")[0] in sources for one in stored.record.inputs)


def _seconds(stored: StoredRecord) -> float:
    began, ended = (datetime.fromisoformat(time) for time in (stored.record.started, stored.record.finished))
    return round((ended - began).total_seconds(), 2)

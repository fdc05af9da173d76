"""What has come: every delivery, from whom, under which licence, what became of it, and where it is used.

Read from the lineage ledger and the landing register alone, in a few queries over all deliveries at once.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

import duckdb

from phoenix_assets.ingest.landing import Arrival, Standing
from phoenix_assets.schema import RejectReason, Stage
from resources.lake import Lake
from resources.landing_register import MANIFEST, LandingRegister
from resources.ledger import LineageLedger
from resources.quarantine import quarantined_deliveries

_Name: TypeAlias = tuple[str, str]  # source, delivery

# The newest materialisations of every delivery's chain: what the first promised, what each made, what all took.
_CHAIN: Final = """
select split_part(asset, '/', 1) as source, partition as delivery,
    any_value(licences) filter (asset like '%/raw') as licences,
    any_value(config) filter (asset like '%/raw') as config, any_value(counts) filter (asset like '%/raw') as counts,
    map(list(split_part(asset, '/', 2)), list({
        'documents': (counts->>'rows_out')::bigint, 'text_bytes': (counts->>'text_bytes')::bigint
    })) as stages,
    sum((counts->>'stored_bytes')::bigint)::bigint as stored_bytes,
    sum(date_diff('millisecond', started::timestamptz, finished::timestamptz)) / 1000 as seconds
from heads where partition <> '' and list_contains(?, split_part(asset, '/', 2))
group by all
"""
_BEHIND: Final = """
select distinct split_part(made.asset, '/', 1) as source, made.partition as delivery
from heads made join inputs read using (record_id)
join heads now on now.asset = read.asset and now.partition = read.partition
where made.partition <> '' and made.partition = read.partition and now.data_version <> read.data_version
"""
# What is made of tagged documents, over any number of steps: mixtures, and the runs that trained on them.
_USES: Final = """
with recursive behind as (
    select asset as used_by, record_id from heads where asset like 'mix/%'
    union
    select asset as used_by, record_id from records where asset like 'train/%'
    union
    select behind.used_by, made.record_id from behind join inputs read using (record_id)
    join records made on made.asset = read.asset and made.partition = read.partition
        and made.data_version = read.data_version
    where read.asset like 'tokens/%' or read.asset like 'mix/%'
)
select split_part(read.asset, '/', 1) as source, read.partition as delivery,
    list(distinct split_part(used_by, '/', 2)) filter (used_by like 'mix/%') as mixtures,
    list(distinct split_part(used_by, '/', 2)) filter (used_by like 'train/%') as runs
from behind join inputs read using (record_id) where read.asset like '%/tagged'
group by all
"""
_BESIDE: Final = ("signatures", "paragraphs", "sentences")  # stages that hold prints, not documents


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"  # it is still arriving, or not registered yet
    QUARANTINED = "quarantined"  # it cannot be taken
    TAKEN = "taken"
    STALE = "stale"  # something of it was not made from what there is now


def purchases(lake: Lake, ledger: LineageLedger, source: str | None = None) -> list[dict[str, Any]]:
    """Return every delivery (of `source`) in name order, as plain JSON values.

    Vendor, licence, expiry, state and why, files and bytes, documents and bytes of text at each stage, seconds of work and
    stored bytes of all stages, mixtures that hold it now, and experiments that trained on it.
    """
    ledger.refresh()
    with ledger.connect() as connection:
        chains = _by_name(_rows(connection, _CHAIN, [[*(stage.value for stage in Stage), *_BESIDE]]))
        behind = _by_name(_rows(connection, _BEHIND))
        uses = _by_name(_rows(connection, _USES))
    landed = _landed(lake)
    return [
        {
            "source": name[0],
            "delivery": name[1],
            **_standing(chains.get(name), landed.get(name), is_behind=name in behind),
            **_origin(chains.get(name)),
            **_work(chains.get(name)),
            **_use(uses.get(name)),
        }
        for name in sorted({*chains, *landed})
        if source in (None, name[0])
    ]


def _by_name(rows: Iterable[Mapping[str, Any]]) -> dict[_Name, Mapping[str, Any]]:
    return {(row["source"], row["delivery"]): row for row in rows}


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any] | None = None
) -> list[dict[str, Any]]:
    found = connection.execute(query, parameters or [])
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _landed(lake: Lake) -> dict[_Name, Arrival]:
    """Return what is known of deliveries that landed: from the last look, or why they were not taken."""
    rows = quarantined_deliveries(lake).select("source", "delivery", "reason", "detail").iter_rows()
    quarantined = (
        Arrival(source, delivery, "", Standing.REJECTED, RejectReason(reason), detail)
        for source, delivery, reason, detail in rows
    )
    # Where two have one name, the one in the local folder counts.
    noted = sorted(LandingRegister(lake.home).read().items(), key=lambda item: item[0], reverse=True)
    looked_at = (one.arrival for _, one in noted)
    return {(one.source, one.delivery): one for one in (*quarantined, *looked_at)}


def _standing(chain: Mapping[str, Any] | None, landed: Arrival | None, *, is_behind: bool) -> dict[str, Any]:
    if landed is not None and landed.standing is Standing.REJECTED:
        return {"state": State.QUARANTINED, "why": f"{landed.reason}: {landed.detail}"}
    if landed is not None and landed.standing is Standing.WAITS:
        return {"state": State.WAITING, "why": landed.detail}
    if chain is None or not chain["config"]:
        return {"state": State.WAITING, "why": "not registered yet"}
    if landed is not None and landed.manifest not in ("", json.loads(chain["config"]).get(MANIFEST)):
        return {"state": State.STALE, "why": "delivered anew"}
    if is_behind:
        return {"state": State.STALE, "why": "an input is newer"}
    return {"state": State.TAKEN, "why": ""}


def _origin(chain: Mapping[str, Any] | None) -> dict[str, Any]:
    config, counts, licences = (
        json.loads(chain[name] or "null") if chain else None for name in ("config", "counts", "licences")
    )
    promised, counted, terms = config or {}, counts or {}, (licences or [{}])[0]
    return {
        "vendor": promised.get("vendor"),
        "received": promised.get("received"),
        "licence": terms.get("licence"),
        "expires": terms.get("expires"),
        "allows": list(terms.get("allows", ())),
        "files": counted.get("rows_out"),
        "bytes": counted.get("bytes"),
    }


def _work(chain: Mapping[str, Any] | None) -> dict[str, Any]:
    stages = chain["stages"] if chain else {}
    return {
        "stages": {
            stage.value: stages[stage] for stage in Stage if stage is not Stage.RAW and stage in stages
        },
        "cost": {name: chain[name] if chain else 0 for name in ("seconds", "stored_bytes")},
    }


def _use(uses: Mapping[str, Any] | None) -> dict[str, list[str]]:
    return {name: sorted(uses[name] or ()) if uses else [] for name in ("mixtures", "runs")}

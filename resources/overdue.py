"""What is behind: an input that has been newer than what is made from it for too long, whatever the reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from phoenix_assets.lineage import StoredRecord
from resources.landing_register import MANIFEST, LandingRegister
from resources.planner import Planner, Stale
from resources.work import Place, was_tried


@dataclass(frozen=True)
class Overdue:
    """An asset partition that has not followed its input."""

    input: str
    asset: str
    partition: str
    since: datetime

    @property
    def case(self) -> str:
        """What the alert is about: the same until it has followed."""
        return f"{self.input} > {self.asset}{f'[{self.partition}]' if self.partition else ''}"


def overdue(planner: Planner, newer_for: timedelta, now: datetime) -> list[Overdue]:
    """Return what has had a newer input for longer than `newer_for`, inputs first; not what only follows from that."""
    behind = [*_unregistered(planner), *_behind(planner)]
    return [one for one in behind if now - one.since > newer_for]


def _behind(planner: Planner) -> Iterator[Overdue]:
    for item in _startable(planner):
        newer = planner.newer_inputs(item)
        if newer:  # otherwise its code or configuration is
            name, since = _first(newer, item)
            yield Overdue(name, item.asset, item.partition, since)


def _startable(planner: Planner) -> Iterator[Stale]:
    """Yield what is stale and waits for nothing else, except for what was tried in vain."""
    automated = planner.automated()
    given_up: set[Place] = set()
    while True:
        batches = planner.ready(planner.stale(automated, given_up=given_up, retrain=False))
        failed = [batch for batch in batches if was_tried(planner.instance, batch.key)]
        yield from (batch.items[0] for batch in (failed or batches))
        if not failed:
            return
        given_up |= {item.place for batch in failed for item in batch.items}


def _first(newer: list[StoredRecord], item: Stale) -> tuple[str, datetime]:
    """Return the input that has been newer for longest; of something that was never made, the last that it waited for."""
    made = [(datetime.fromisoformat(one.record.finished), one.record.asset) for one in newer]
    since, name = max(made) if item.reason == "not materialised yet" else min(made)
    return name, since


def _unregistered(planner: Planner) -> Iterator[Overdue]:
    """Yield deliveries that lie in a landing place and are not registered as they are there."""
    ledger = planner.ledger
    noted = [one for one in LandingRegister(ledger.lake.home).read().values() if one.arrival.manifest]
    heads = ledger.all_heads({f"{one.arrival.source}/raw" for one in noted})
    for arrival in (one.arrival for one in noted):
        asset = f"{arrival.source}/raw"
        stored = heads.get(asset, {}).get(arrival.delivery)
        if stored is None or stored.record.config.get(MANIFEST) != arrival.manifest:
            since = datetime.fromtimestamp(arrival.since, UTC)
            yield Overdue(f"landing/{arrival.name}", asset, arrival.delivery, since)

"""What was found in the landing places, and which of it was dealt with: so that a look costs what changed since the last."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from phoenix_assets.ingest.landing import Arrival, Standing
from phoenix_assets.schema import RejectReason
from phoenix_assets.visible import visible
from resources.operations import operations

_COLUMNS: Final = (
    "place, source, delivery, fingerprint, standing, reason, detail, manifest, since, rules, dealt_with"
)

ASKED: Final = "asked"
MANIFEST: Final = "manifest_sha256"  # in the configuration of a raw record: what it was registered by


@dataclass(frozen=True)
class Noted:
    """An arrival as it was found last."""

    arrival: Arrival
    rules: str  # by which it was judged
    dealt_with: str  # the fingerprint for which there was a run, or that was taken otherwise; "" for none

    @property
    def is_open(self) -> bool:
        """Whether there is still something to do, or to wait for."""
        waits = self.arrival.standing is Standing.WAITS
        return waits or (
            self.arrival.standing is Standing.READY and self.dealt_with != self.arrival.fingerprint
        )


Key = tuple[str, str, str]  # place, source, delivery


def key(place: str, source: str, delivery: str) -> Key:
    """Return what the register calls a delivery; names may hold bytes that are no text."""
    return place, visible(source), visible(delivery)


@dataclass(frozen=True)
class LandingRegister:
    """The register of one `$PHOENIX_HOME`."""

    home: Path

    def read(self) -> dict[Key, Noted]:
        """Return all that is noted."""
        with operations(self.home) as connection:
            rows = connection.execute(f"select {_COLUMNS} from arrivals").fetchall()  # noqa: S608 - a constant
        return {row[:3]: _noted(row) for row in rows}

    def note(self, arrivals: Iterable[Arrival], rules: str) -> None:
        """Write down what was found."""
        rows = [_row(arrival, rules) for arrival in arrivals]
        with operations(self.home) as connection:
            connection.executemany(
                "insert into arrivals values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '') on conflict do update set "
                "fingerprint = excluded.fingerprint, standing = excluded.standing, reason = excluded.reason, "
                "detail = excluded.detail, manifest = excluded.manifest, since = excluded.since, rules = excluded.rules",
                rows,
            )

    def deal_with(self, arrivals: Iterable[Arrival]) -> None:
        """Write down that nothing is left to do about arrivals as they are."""
        self._mark((arrival.fingerprint, arrival) for arrival in arrivals)

    def ask_for(self, arrivals: Iterable[Arrival]) -> None:
        """Write down that runs were asked for: done only when they are seen."""
        self._mark((ASKED, arrival) for arrival in arrivals)

    def forget(self, keys: Iterable[Key]) -> None:
        """Drop deliveries that are not there any more."""
        with operations(self.home) as connection:
            connection.executemany(
                "delete from arrivals where place = ? and source = ? and delivery = ?", keys
            )

    def _mark(self, marks: Iterable[tuple[str, Arrival]]) -> None:
        rows = [(mark, *key(one.place, one.source, one.delivery)) for mark, one in marks]
        with operations(self.home) as connection:
            connection.executemany(
                "update arrivals set dealt_with = ? where place = ? and source = ? and delivery = ?", rows
            )


def _row(arrival: Arrival, rules: str) -> tuple[Any, ...]:
    return (
        *key(arrival.place, arrival.source, arrival.delivery), arrival.fingerprint, arrival.standing.value,
        arrival.reason.value if arrival.reason else "", arrival.detail, arrival.manifest, arrival.since, rules,
    )  # fmt: skip


def _noted(row: tuple[Any, ...]) -> Noted:
    place, source, delivery, fingerprint, standing, reason, detail, manifest, since, rules, dealt_with = row
    arrival = Arrival(
        source, delivery, fingerprint, Standing(standing), RejectReason(reason) if reason else None, detail,
        place, manifest, since,
    )  # fmt: skip
    return Noted(arrival, rules, dealt_with)

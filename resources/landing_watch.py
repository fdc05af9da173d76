"""One look at the landing places: new and unfinished deliveries first, of the others as many as there is time for."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from phoenix_assets.ingest.landing import Arrival, Inspector, LandingConfig, Standing, places
from phoenix_assets.ingest.landing_places import Place
from phoenix_assets.sources import Source
from resources.erasures import refusals
from resources.lake import Lake
from resources.landing_register import ASKED, Key, LandingRegister, Noted, key

_AFTER: Final = "after"  # in the cursor: the last delivery of the round


@dataclass(frozen=True)
class Seen:
    """A delivery that was looked at, and what was noted of it before."""

    arrival: Arrival
    rules: str  # by which it was judged
    before: Noted | None

    @property
    def is_news(self) -> bool:
        """Whether something else was said of it before, or nothing, or by other rules."""
        return self.before is None or self.before.arrival != self.arrival or self.before.rules != self.rules

    @property
    def is_to_do(self) -> bool:
        """Whether it is ready, and not dealt with as it is now."""
        dealt_with = self.before.dealt_with if self.before else ""
        return self.arrival.standing is Standing.READY and dealt_with != self.arrival.fingerprint

    @property
    def was_asked_for(self) -> bool:
        """Whether a run was asked for that nobody has seen yet."""
        return self.before is not None and self.before.dealt_with == ASKED

    @property
    def is_unknown(self) -> bool:
        """Whether nothing was ever asked for in its name."""
        return self.before is None or not self.before.dealt_with


@dataclass(frozen=True)
class Look:
    """What a look found."""

    seen: tuple[Seen, ...]
    unreachable: Mapping[str, str]  # URL → why
    cursor: str  # from where the next look goes on

    @property
    def to_do(self) -> list[Seen]:
        """What is to be registered; last, what others may be registering."""
        return sorted((one for one in self.seen if one.is_to_do), key=lambda one: one.was_asked_for)

    @property
    def newly_rejected(self) -> list[Arrival]:
        """What cannot be taken, and was not known to be so."""
        return [one.arrival for one in self.seen if one.is_news and one.arrival.standing is Standing.REJECTED]


def look(
    home: Path, landing: Path, sources: Mapping[str, Source], settings: LandingConfig, cursor: str | None
) -> Look:
    """Look at what is new or unfinished, and at the next deliveries after `cursor`; note what was found."""
    register = LandingRegister(home)
    known = register.read()
    listed, unreachable = _listed(places(landing, settings))
    register.forget(one for one in known if one not in listed and one[0] not in unreachable)
    after: list[str] = json.loads(cursor or "{}").get(_AFTER, [])
    taken = {(source, delivery) for place, source, delivery in listed if not place}
    inspector = Inspector(sources, refusals(Lake(home)), settings.settle_seconds, time.time(), taken)
    ends = time.monotonic() + settings.look_seconds
    seen: list[Seen] = []
    for name in _in_turn(listed, known, after)[: settings.looks_per_tick]:
        place, source, delivery = listed[name]
        before = known.get(name)
        seen.append(Seen(_inspected(inspector, place, source, delivery, before), inspector.rules, before))
        if before is not None and not before.is_open:
            after = list(name)
        if time.monotonic() > ends:
            break
    register.note((one.arrival for one in seen if one.is_news), inspector.rules)
    return Look(tuple(seen), unreachable, json.dumps({_AFTER: after}))


def _inspected(
    inspector: Inspector, place: Place, source: str, delivery: str, before: Noted | None
) -> Arrival:
    if before is None:
        return inspector.inspect(place, source, delivery)
    stands = before.rules == inspector.rules
    return inspector.inspect(place, source, delivery, before.arrival, stands=stands)


def _listed(watched: Iterable[Place]) -> tuple[dict[Key, tuple[Place, str, str]], dict[str, str]]:
    """Return every delivery of the places by its key in the register, and the places that cannot be listed."""
    listed: dict[Key, tuple[Place, str, str]] = {}
    unreachable: dict[str, str] = {}
    for place in watched:
        try:
            listed |= {key(place.url, *name): (place, *name) for name in place.names()}
        except OSError as error:
            unreachable[place.url] = str(error)
    return listed, unreachable


def _in_turn(listed: Iterable[Key], known: Mapping[Key, Noted], after: list[str]) -> list[Key]:
    """Return new deliveries, then unfinished ones, then the others from behind `after` round to it."""
    names = sorted(listed)
    new = [name for name in names if name not in known]
    unfinished = [name for name in names if name in known and known[name].is_open]
    others = [name for name in names if name in known and not known[name].is_open]
    return [
        *new,
        *unfinished,
        *(name for name in others if list(name) > after),
        *(name for name in others if list(name) <= after),
    ]

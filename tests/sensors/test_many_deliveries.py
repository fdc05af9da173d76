"""Ten thousand deliveries: a look costs little, finds what is new at once, and comes round to all that may have changed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from phoenix_assets.ingest.landing import load_landing
from resources.landing_register import LandingRegister
from resources.phoenix import Phoenix

DELIVERIES = 10_000
MANIFEST = """source: manual
delivery: {}
vendor: us
licence: {{id: CC0-1.0, allows: [pretraining]}}
received: 2024-06-01
format: txt
files:
- {{path: a.txt, bytes: 3, sha256: {}}}
"""

Look = Callable[[], list[str]]


def deliver(landing: Path, name: str) -> None:
    folder = landing / "manual" / name
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"one")
    (folder / "delivery.yaml").write_text(MANIFEST.format(name, hashlib.sha256(b"one").hexdigest()))


@pytest.mark.slow
def test_ten_thousand_deliveries_are_watched_in_looks_of_bounded_size(phoenix: Phoenix, look: Look) -> None:
    settings = load_landing()
    names = [f"d{number:05d}" for number in range(DELIVERIES)]
    for name in names:
        deliver(phoenix.landing, name)
    register = LandingRegister(phoenix.path)
    looks = -(-DELIVERIES // settings.looks_per_tick)
    asked: list[str] = []
    for number in range(looks):
        asked += look()
        assert len(register.read()) == min(DELIVERIES, (number + 1) * settings.looks_per_tick)
    assert len(set(asked)) == len(asked) == looks * settings.deliveries_per_tick

    register.deal_with(noted.arrival for noted in register.read().values())
    assert look() == []
    deliver(phoenix.landing, "new")
    assert look() == ["register_manual[new]"]
    os.utime(phoenix.landing / "manual" / names[7_777] / "a.txt", (1, 1))
    found = [one for _ in range(looks + 1) for one in look()]
    assert found == [f"register_manual[{names[7_777]}]"]

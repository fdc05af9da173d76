"""What commands work with: the lake of `$PHOENIX_HOME`, its planner, and how a command prints values."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resources.lake import Lake
    from resources.ledger import LineageLedger
    from resources.phoenix import Phoenix
    from resources.planner import Planner


def open_phoenix() -> "Phoenix":
    """Return the lake, ledger and engine of `$PHOENIX_HOME`."""
    from resources.phoenix import Phoenix

    return Phoenix()


def open_lake() -> "tuple[Lake, LineageLedger]":
    """Return the lake of `$PHOENIX_HOME` and its ledger, for commands that only read: without Dagster, at once."""
    from resources.lake import Lake, phoenix_home
    from resources.ledger import LineageLedger

    lake = Lake(phoenix_home())
    return lake, LineageLedger(lake)


def open_planner() -> "tuple[Phoenix, Planner]":
    """Return the home and what plans and runs materialisations in it; loads the whole graph."""
    from phoenix_assets.definitions import defs
    from resources.instance import open_instance
    from resources.planner import Planner

    phoenix = open_phoenix()
    return phoenix, Planner(defs.get_repository_def(), phoenix.ledger, open_instance(phoenix.path))


def as_json(value: Iterable[Any]) -> str:
    """Return `value` as people and programs read it: indented, Chinese as it is, dates as text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)

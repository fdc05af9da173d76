"""Bounds of a value as people write them."""

from collections.abc import Mapping
from typing import Any, Final

SIGNS: Final = {"above": ">", "at_least": "≥", "below": "<", "at_most": "≤"}


def bounds_text(bounds: Mapping[str, Any]) -> str:
    """Return bounds as people write them; other keys are ignored."""
    return (
        " and ".join(f"{sign} {bounds[name]:,g}" for name, sign in SIGNS.items() if name in bounds) or "ever"
    )

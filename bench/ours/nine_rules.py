"""Our filter funnel with the nine rules alone, without safety labels and what else a profile may add."""

from typing import Any

from bench.ours import funnel


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Do what the whole funnel does, with a profile of the nine rules."""
    from phoenix_assets.clean.profiles import NINE

    state = funnel.prepare(params)
    profile = state["profile"]
    nine = {rule: setting for rule, setting in profile.rules.items() if rule in NINE}
    return {**state, "profile": profile.model_copy(update={"rules": nine})}


run = funnel.run
report = funnel.report

"""The bare cost of the funnel's models: the calls of fastText and KenLM that the funnel makes, no more.

`prepare` runs the funnel once with models that note what they are asked, so the calls are the funnel's own:
the same windows, the same lines, the same order.
"""

from collections import deque
from itertools import starmap
from pathlib import Path
from typing import Any

from bench.ours import funnel as whole


class _Noting:
    """Stands before a function and keeps the arguments of each call."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any) -> Any:
        self.calls.append(arguments)
        return self.function(*arguments)


class _Model:
    """A model of which one method is noted."""

    def __init__(self, method: str, noting: _Noting) -> None:
        setattr(self, method, noting)


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Run the funnel once; keep what it asks its models."""
    from phoenix_assets.clean import funnel

    state = whole.prepare(params)
    lid = _Noting(funnel.load_lid(Path(params["lid"])).f.multilinePredict)
    models = funnel.load_kenlm(state["models"].kenlm)
    scores = {lang: _Noting(model.score) for lang, model in models.items()}
    noted_lid = _Model("f", _Model("multilinePredict", lid))  # type: ignore[arg-type]
    noted_kenlm = {lang: _Model("score", noting) for lang, noting in scores.items()}
    loaders = funnel.load_lid, funnel.load_kenlm
    funnel.load_lid, funnel.load_kenlm = lambda _: noted_lid, lambda _: noted_kenlm
    whole.run(state)
    funnel.load_lid, funnel.load_kenlm = loaders
    return {"documents": state["documents"].height, "notings": [lid, *scores.values()]}


def run(state: dict[str, Any]) -> int:
    """Make the calls again, without the funnel; return how many there were."""
    made = 0
    for noting in state["notings"]:
        deque(starmap(noting.function, noting.calls), maxlen=0)
        made += len(noting.calls)
    return made


def report(state: dict[str, Any], result: int) -> dict[str, Any]:
    """Return the number of documents and of calls."""
    return {"documents": state["documents"], "calls": result}

"""The bare cost of the funnel's models: what one pays who calls fastText and KenLM's Python binding, and does no more.

`prepare` runs the funnel once with models that note what they are asked, so what is read is the funnel's own: the same
windows, the same lines, the same order. Each line is a call of `kenlm.Model.score`; the funnel itself makes none.
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

    def __init__(self, method: str, noting: Any) -> None:
        setattr(self, method, noting)


class _NotedScorer:
    """Scores lines with KenLM's binding, a call a line, and keeps these calls."""

    def __init__(self, path: Path) -> None:
        import kenlm

        self.noting = _Noting(kenlm.Model(str(path)).score)

    def log10(self, lines: Any) -> Any:
        import numpy as np
        import polars as pl

        as_bytes = lines.lines.cast(pl.Binary).to_list()
        return np.fromiter(map(self.noting, as_bytes), np.float64, len(as_bytes))


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Run the funnel once; keep what it asks its models."""
    from phoenix_assets.clean import funnel

    state = whole.prepare(params)
    lid = _Noting(funnel.load_lid(Path(params["lid"])).f.multilinePredict)
    noted_lid = _Model("f", _Model("multilinePredict", lid))
    noted_kenlm = {lang: _NotedScorer(path) for lang, path in state["models"].kenlm}
    loaders = funnel.load_lid, funnel.load_kenlm
    funnel.load_lid, funnel.load_kenlm = lambda _: noted_lid, lambda _: noted_kenlm
    whole.run(state)
    funnel.load_lid, funnel.load_kenlm = loaders
    notings = [lid, *(scorer.noting for scorer in noted_kenlm.values())]
    return {"documents": state["documents"].height, "notings": notings}


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

"""Where kernels run. One interface, `map` a function over shards; two engines, and the same results from both.

`local` uses processes on this machine, `ray` a Ray cluster. `$PHOENIX_ENGINE` says which, `$PHOENIX_WORKERS` how many
processes work on this machine, `$PHOENIX_RAY_ADDRESS` which cluster is joined rather than started here.

The function and the shards cross process boundaries, so functions are module-level (or `functools.partial` of one) and
shards are small: paths and parameters, never text. A shard may be tried more than once: what it writes has a name of its
own, and only what it returns counts. Results do not depend on the engine or on the number of workers.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol, TypeVar

from phoenix_assets.errors import ConfigError
from resources.shard_results import Report, unreported

ShardT = TypeVar("ShardT")
ResultT = TypeVar("ResultT")

ONE_THREAD: Final = {  # a worker is one core; read when kernel modules are imported
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
AHEAD: Final = 4  # shards under way for each worker: none waits for its next one


class EngineKind(StrEnum):
    """The engines there are."""

    LOCAL = "local"
    RAY = "ray"


class Engine(Protocol):
    """Maps a kernel over shards."""

    def map(self, function: Callable[[ShardT], ResultT], shards: Iterable[ShardT]) -> Iterator[ResultT]:
        """Yield `function(shard)` for each shard, in order. An exception in a worker is raised here.

        Raises PhoenixError when workers died and the shard's result is not to be had.
        """
        ...

    def release(self) -> None:
        """Give back what idle workers hold, for work that wants the machine's memory; the next map starts new ones."""
        ...


def open_engine(kind: str, workers: int, home: Path, report: Report = unreported) -> Engine:
    """Return the engine called `kind`, by default the one of `$PHOENIX_ENGINE`; long maps tell `report` how far they are.

    Raises ConfigError when there is no such engine.
    """
    chosen = kind or os.environ.get("PHOENIX_ENGINE") or EngineKind.LOCAL
    if chosen == EngineKind.LOCAL:
        from resources.local_engine import LocalEngine

        return LocalEngine(workers, report)
    if chosen == EngineKind.RAY:
        from resources.ray_engine import RayEngine

        return RayEngine(workers, home / "ray", os.environ.get("PHOENIX_RAY_ADDRESS", ""), report)
    raise ConfigError(f"PHOENIX_ENGINE: no engine is called {chosen!r}; choose {' or '.join(EngineKind)}")


def default_workers() -> int:
    """Return `$PHOENIX_WORKERS`, or the number of CPUs this process may use."""
    return int(os.environ.get("PHOENIX_WORKERS", len(os.sched_getaffinity(0))))

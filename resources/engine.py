"""Where kernels run. One interface: `map` a function over shards, results in the shards' order.

`LocalEngine` uses processes on this machine (fastText and most Python bindings hold the GIL). The function and the
shards cross process boundaries, so functions are module-level (or `functools.partial` of one) and shards are small:
paths and parameters, never text. Results do not depend on the number of workers.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Protocol, TypeVar

from phoenix_assets.errors import PhoenixError

ShardT = TypeVar("ShardT")
ResultT = TypeVar("ResultT")

_ONE_THREAD = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


class Engine(Protocol):
    """Maps a kernel over shards."""

    def map(self, function: Callable[[ShardT], ResultT], shards: Iterable[ShardT]) -> Iterator[ResultT]:
        """Yield `function(shard)` for each shard, in order."""
        ...

    def release(self) -> None:
        """Give back what idle workers hold, for work that wants the machine's memory; the next map starts new ones."""
        ...


class LocalEngine:
    """Processes on this machine: `workers` of them, started at the first map over more than one shard."""

    def __init__(self, workers: int) -> None:
        self.workers = max(1, workers)

    def map(self, function: Callable[[ShardT], ResultT], shards: Iterable[ShardT]) -> Iterator[ResultT]:
        """Yield `function(shard)` for each shard, in order. An exception in a worker is raised here.

        Raises PhoenixError when a worker dies; the next map starts new ones.
        """
        todo = list(shards)
        if self.workers == 1 or len(todo) <= 1:
            return map(function, todo)
        return self._results(self._submit(function, todo))

    def release(self) -> None:
        """End the workers; the next map starts new ones."""
        _discard(self.workers)

    def _submit(self, function: Callable[[ShardT], ResultT], todo: list[ShardT]) -> list[Future[ResultT]]:
        try:
            return [_pool(self.workers).submit(function, shard) for shard in todo]
        except BrokenProcessPool:  # a worker died since the last map, or at once
            _discard(self.workers)
            return [_pool(self.workers).submit(function, shard) for shard in todo]

    def _results(self, futures: list[Future[ResultT]]) -> Iterator[ResultT]:
        """Yield the results in order; after an error, or when the reader stops, what has not begun is not begun."""
        try:
            for place, future in enumerate(futures):
                try:
                    yield future.result()
                except BrokenProcessPool as error:
                    _discard(self.workers)
                    raise PhoenixError(
                        f"a worker process died at or before shard {place + 1} of {len(futures)}, probably for "
                        "want of memory; set PHOENIX_WORKERS lower, or give the machine more memory"
                    ) from error
        finally:
            for future in futures:
                future.cancel()


# A pool is kept for the life of the process: start-up costs seconds.
_POOLS: dict[int, ProcessPoolExecutor] = {}


def _pool(workers: int) -> ProcessPoolExecutor:
    if workers not in _POOLS:
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_limit_threads)
        atexit.register(pool.shutdown, cancel_futures=True)
        _POOLS[workers] = pool
    return _POOLS[workers]


def _discard(workers: int) -> None:
    pool = _POOLS.pop(workers, None)
    if pool is not None:
        pool.shutdown(wait=False, cancel_futures=True)


def _limit_threads() -> None:
    os.environ.update(_ONE_THREAD)  # before any kernel module is imported: a worker is one core


def default_workers() -> int:
    """Return `$PHOENIX_WORKERS`, or the number of CPUs this process may use."""
    return int(os.environ.get("PHOENIX_WORKERS", len(os.sched_getaffinity(0))))

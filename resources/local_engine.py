"""Processes on this machine (fastText and most Python bindings hold the GIL)."""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

from phoenix_assets.errors import PhoenixError
from resources.engine import AHEAD, ONE_THREAD
from resources.shard_results import Progress, Report, in_order, unreported

ShardT = TypeVar("ShardT")
ResultT = TypeVar("ResultT")


class LocalEngine:
    """`workers` processes, started at the first map over more than one shard."""

    def __init__(self, workers: int, report: Report = unreported) -> None:
        self.workers = max(1, workers)
        self.report = report

    def map(self, function: Callable[[ShardT], ResultT], shards: Iterable[ShardT]) -> Iterator[ResultT]:
        """Yield `function(shard)` for each shard, in order. An exception in a worker is raised here.

        Raises PhoenixError when a worker dies; the next map starts new ones.
        """
        todo = list(shards)
        progress = Progress(len(todo), self.report)
        if self.workers == 1 or len(todo) <= 1:
            return progress.counted(map(function, todo))
        return self._results(function, todo, progress)

    def release(self) -> None:
        """End the workers; the next map starts new ones."""
        _discard(self.workers)

    def _results(
        self, function: Callable[[ShardT], ResultT], todo: list[ShardT], progress: Progress
    ) -> Iterator[ResultT]:
        submit = partial(_submit, self.workers, function)
        try:
            yield from in_order(submit, todo, in_flight=AHEAD * self.workers, progress=progress)
        except BrokenProcessPool as error:
            _discard(self.workers)
            raise PhoenixError(
                f"a worker process died when {progress.done} of {len(todo)} shards were done, probably for want of "
                "memory; set PHOENIX_WORKERS lower, or give the machine more memory"
            ) from error


# A pool is kept for the life of the process: start-up costs seconds.
_POOLS: dict[int, ProcessPoolExecutor] = {}


def _submit(workers: int, function: Callable[[ShardT], ResultT], shard: ShardT) -> Future[ResultT]:
    try:
        return _pool(workers).submit(function, shard)
    except BrokenProcessPool:  # a worker died since the last map; one that died in this map fails its shards
        _discard(workers)
        return _pool(workers).submit(function, shard)


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
    os.environ.update(ONE_THREAD)

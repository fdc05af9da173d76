"""The results of shards that run elsewhere: in order, with a bounded number under way, and a word on how far it is."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeAlias, TypeVar

ShardT = TypeVar("ShardT")
ResultT = TypeVar("ResultT")
Report: TypeAlias = Callable[[str], object]

_REPORT_SECONDS: Final = 30.0


def unreported(message: str) -> None:
    """Say nothing."""


@dataclass
class Progress:
    """Tells `report` every `every` seconds how many of `total` shards are done; a short map is silent."""

    total: int
    report: Report = unreported
    every: float = _REPORT_SECONDS
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    _began: float = field(init=False)
    _due: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._due = self._began + self.every

    @property
    def seconds_to_next(self) -> float:
        """Seconds until the next word is due."""
        return max(0.0, self._due - self.clock())

    def one_more(self) -> None:
        """Count a shard as done."""
        self.done += 1
        self.say_if_due()

    def say_if_due(self) -> None:
        """Report, when it is time to."""
        now = self.clock()
        if now >= self._due:
            self._due = now + self.every
            self.report(self._so_far(now - self._began))

    def counted(self, results: Iterable[ResultT]) -> Iterator[ResultT]:
        """Yield `results` and count them."""
        for result in results:
            self.one_more()
            yield result

    def _so_far(self, seconds: float) -> str:
        said = f"{self.done:,} of {self.total:,} shards done in {timedelta(seconds=round(seconds))}"
        if not self.done:
            return said
        left = timedelta(seconds=round(seconds / self.done * (self.total - self.done)))
        return f"{said}, {self.done / seconds * 60:.3g} a minute, about {left} left"


def in_order(
    submit: Callable[[ShardT], Future[ResultT]],
    shards: Sequence[ShardT],
    *,
    in_flight: int,
    progress: Progress,
    cancel: Callable[[Any], object] = Future.cancel,
) -> Iterator[ResultT]:
    """Yield the result of each shard, in order, with at most `in_flight` shards submitted and not finished.

    After a failure no shard is begun. The failure is raised when its shard's turn comes, so that it is the same one
    whichever worker is fastest. What is unfinished then, or when the reader stops, is cancelled.
    """
    todo = iter(shards)
    waiting: deque[Future[ResultT]] = deque()
    ended: SimpleQueue[Future[ResultT]] = SimpleQueue()
    running, failed = 0, False
    try:
        while True:
            for shard in islice(todo, 0 if failed else in_flight - running):
                waiting.append(future := submit(shard))
                future.add_done_callback(ended.put)
                running += 1
            while waiting and waiting[0].done():
                yield waiting.popleft().result()
            if not running:
                return
            failed |= _next_ended(ended, progress).exception() is not None
            running -= 1
    finally:
        for future in waiting:
            cancel(future)


def _next_ended(ended: SimpleQueue[Future[Any]], progress: Progress) -> Future[Any]:
    """Wait for a shard to end, and report meanwhile."""
    while True:
        try:
            future = ended.get(timeout=progress.seconds_to_next)
        except Empty:
            progress.say_if_due()
        else:
            if future.exception() is None:
                progress.one_more()
            return future

"""A limit of bytes a second over all connections of a download: a token bucket."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

BURST_SECONDS: Final = 1.0  # what an idle bucket saves up


@dataclass
class TokenBucket:
    """Lets `bytes_per_second` through on average, None: everything. Safe for many threads."""

    bytes_per_second: float | None
    clock: Callable[[], float] = time.monotonic
    _paid_until: float = float("-inf")  # by what was let through so far, at the configured rate
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, count: int) -> float:
        """Let `count` bytes through; return the seconds that the caller has to wait before its next ones."""
        if self.bytes_per_second is None:
            return 0.0
        with self._lock:
            now = self.clock()
            self._paid_until = max(self._paid_until, now - BURST_SECONDS) + count / self.bytes_per_second
            return max(0.0, self._paid_until - now)

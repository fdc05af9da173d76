"""Trying again: which failures pass, how long to wait, when to give up. Waits are drawn, but the same in every run."""

import itertools
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import xxhash

from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.download_config import Retries

ResultT = TypeVar("ResultT")


class TransientError(DownloadError):
    """What may succeed when it is tried again, no sooner than after `wait_seconds`."""

    def __init__(self, message: str, *, wait_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class DamagedError(TransientError):
    """What has arrived of a file cannot be used: the next attempt begins at its first byte."""


def persist(
    attempt: Callable[[], ResultT], *, name: str, retries: Retries, pause: Callable[[float], object]
) -> ResultT:
    """Return what `attempt` returns, trying again after each TransientError.

    Raises DownloadError after the last attempt, or when the server asks for a longer wait than is allowed.
    """
    for number in itertools.count(1):
        try:
            return attempt()
        except TransientError as error:
            if number == retries.attempts:
                raise DownloadError(f"{error}; given up after {number} attempts") from error
            if error.wait_seconds > retries.max_retry_after_seconds:
                raise DownloadError(
                    f"{error}; it asks to wait {error.wait_seconds:.0f} s: try again later"
                ) from error
            pause(max(error.wait_seconds, delay(retries, name, number)))
    raise AssertionError("unreachable")


def delay(retries: Retries, name: str, failed: int) -> float:
    """Return the seconds to wait after the `failed`-th failure: doubled each time, bounded, with jitter."""
    grown = min(retries.max_delay_seconds, retries.first_delay_seconds * 2.0 ** (failed - 1))
    drawn = xxhash.xxh3_64_intdigest(f"{name}#{failed}".encode(), seed=retries.seed) / 2**64
    return grown * (1 - retries.jitter * drawn)


def retry_after_seconds(value: str | None, now: datetime) -> float:
    """Return the seconds that a Retry-After header (seconds, or a date) asks to wait; 0 when it says nothing."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a time zone
        return 0.0

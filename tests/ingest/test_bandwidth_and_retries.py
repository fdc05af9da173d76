"""The arithmetic of waiting: a token bucket under a clock of our own, and the delays between attempts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.bandwidth import BURST_SECONDS, TokenBucket
from phoenix_assets.ingest.download_config import Retries
from phoenix_assets.ingest.retries import TransientError, delay, persist, retry_after_seconds

RETRIES = Retries(
    attempts=4, first_delay_seconds=1, max_delay_seconds=5, jitter=0.5, max_retry_after_seconds=60, seed=7
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 3)), min_size=1, max_size=60))
def test_connections_together_never_exceed_the_rate_but_for_one_burst(chunks) -> None:
    clock, rate = Clock(), 1000.0
    bucket = TokenBucket(rate, clock)
    wakes = [0.0] * 4  # when each connection may go on
    passed = 0
    for count, connection in chunks:
        clock.now = max(clock.now, wakes[connection])
        assert passed <= rate * (clock.now + BURST_SECONDS) + sum(
            sorted((c for c, _ in chunks), reverse=True)[:4]
        )
        wakes[connection] = clock.now + bucket.take(count)
        passed += count
    assert max(wakes) >= passed / rate - BURST_SECONDS - 1e-6


def test_an_idle_bucket_saves_up_one_burst_and_no_more() -> None:
    clock = Clock()
    bucket = TokenBucket(1000.0, clock)
    clock.now = 3600.0
    assert bucket.take(1000) == 0.0
    assert bucket.take(500) == pytest.approx(0.5)
    clock.now += 0.5
    assert bucket.take(100) == pytest.approx(0.1)


def test_without_a_limit_nobody_waits() -> None:
    assert TokenBucket(None).take(10**12) == 0.0


def run(*outcomes: Exception | str) -> tuple[object, list[float]]:
    left, waits = list(outcomes), []

    def attempt() -> str:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return persist(attempt, name="a", retries=RETRIES, pause=waits.append), waits


def test_waits_double_within_their_jitter_and_are_the_same_in_every_run() -> None:
    result, waits = run(*[TransientError("busy")] * 3, "done")
    assert result == "done"
    assert (
        waits
        == [delay(RETRIES, "a", failed) for failed in (1, 2, 3)]
        == run(*[TransientError("x")] * 3, "")[1]
    )
    assert all(full / 2 <= wait <= full for wait, full in zip(waits, (1, 2, 4), strict=True))
    assert delay(RETRIES, "a", 50) <= 5
    assert delay(RETRIES, "a", 1) != delay(RETRIES, "b", 1)


def test_a_server_that_names_a_wait_gets_it() -> None:
    assert run(TransientError("busy", wait_seconds=42), "done")[1] == [42]


def test_a_server_that_asks_for_too_long_is_left_alone() -> None:
    with pytest.raises(DownloadError, match="asks to wait 3600 s"):
        run(TransientError("busy", wait_seconds=3600), "done")


def test_after_the_last_attempt_the_last_reason_is_given() -> None:
    with pytest.raises(DownloadError, match="third; given up after 4 attempts"):
        run(*(TransientError(name) for name in ("first", "second", "second", "third")))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("120", 120),
        ("Mon, 20 May 2024 12:01:30 GMT", 90),
        ("Mon, 20 May 2024 11:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float) -> None:
    assert retry_after_seconds(header, datetime(2024, 5, 20, 12, tzinfo=UTC)) == seconds

"""The local engine: results in order, the same with any number of workers, and no hanging when a worker dies."""

import os
import signal
import threading
from functools import partial

import pytest

from phoenix_assets.errors import PhoenixError
from resources.engine import default_workers
from resources.local_engine import LocalEngine


def squared(number: int) -> int:
    return number * number


def refuse(number: int, bad: int) -> int:
    if number == bad:
        raise ValueError(f"shard {number} is bad")
    return number


def die(number: int, bad: int) -> int:
    if number == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def process_id(_: int) -> int:
    return os.getpid()


def threads_of_a_worker(_: int) -> str | None:
    return os.environ.get("POLARS_MAX_THREADS")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_shards(workers: int) -> None:
    assert list(LocalEngine(workers).map(squared, range(20))) == [number * number for number in range(20)]


def test_one_shard_needs_no_other_process() -> None:
    assert list(LocalEngine(2).map(process_id, [0])) == [os.getpid()]
    assert os.getpid() not in set(LocalEngine(2).map(process_id, range(4)))


def test_no_shards_give_no_results() -> None:
    assert list(LocalEngine(2).map(squared, [])) == []


def test_a_worker_is_one_core() -> None:
    assert set(LocalEngine(2).map(threads_of_a_worker, range(4))) == {"1"}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_kernel_is_the_callers_error(workers: int) -> None:
    engine = LocalEngine(workers)
    with pytest.raises(ValueError, match="shard 3 is bad"):
        list(engine.map(partial(refuse, bad=3), range(8)))
    assert list(engine.map(squared, range(4))) == [0, 1, 4, 9]


def test_a_worker_that_dies_is_an_error_and_the_next_map_works() -> None:
    engine = LocalEngine(2)
    with pytest.raises(PhoenixError, match=r"a worker process died .* of 6"):
        list(engine.map(partial(die, bad=2), range(6)))
    assert list(engine.map(squared, range(4))) == [0, 1, 4, 9]


def test_workers_that_died_idle_are_replaced() -> None:
    engine = LocalEngine(2)
    for worker in set(engine.map(process_id, range(8))):
        os.kill(worker, signal.SIGKILL)
    gone = threading.Event()
    for _ in range(100):  # until the pool has seen it, at the latest at the first result
        try:
            assert list(engine.map(squared, range(4))) == [0, 1, 4, 9]
            gone.set()
            break
        except PhoenixError:
            continue
    assert gone.is_set()


def test_the_number_of_workers_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOENIX_WORKERS", "3")
    assert default_workers() == 3
    monkeypatch.delenv("PHOENIX_WORKERS")
    assert default_workers() == len(os.sched_getaffinity(0))
    assert LocalEngine(0).workers == 1


def test_released_workers_are_gone_and_the_next_map_has_new_ones() -> None:
    engine = LocalEngine(2)
    before = set(engine.map(process_id, range(4)))
    engine.release()
    assert before.isdisjoint(engine.map(process_id, range(4)))

"""Results of shards that end in any order: they come in the shards' order, and never too many are under way."""

from concurrent.futures import Future
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.shard_results import Progress, in_order


class Worker:
    """Ends shards in an order of its own: one whenever all places are taken, and all after the last or a bad one."""

    def __init__(self, shards: int, places: int, bad: set[int], choose) -> None:
        self.shards, self.places, self.bad, self.choose = shards, places, bad, choose
        self.under_way: dict[int, Future[int]] = {}
        self.begun: list[int] = []
        self.most = 0

    def submit(self, shard: int) -> Future[int]:
        future = self.under_way[shard] = Future[int]()
        self.begun.append(shard)
        self.most = max(self.most, len(self.under_way))
        if len(self.under_way) == self.places:
            self.end_one()
        while self.under_way and (len(self.begun) == self.shards or self.bad & set(self.begun)):
            self.end_one()
        return future

    def end_one(self) -> None:
        shard = self.choose(sorted(self.under_way))
        future = self.under_way.pop(shard)
        if shard in self.bad:
            future.set_exception(ValueError(f"shard {shard}"))
        else:
            future.set_result(shard)


@given(st.data(), st.integers(0, 30), st.integers(1, 6))
def test_results_are_in_order_and_a_bounded_number_of_shards_is_under_way(data, shards, places) -> None:
    worker = Worker(shards, places, set(), lambda ready: data.draw(st.sampled_from(ready)))
    progress = Progress(shards)
    results = in_order(worker.submit, range(shards), in_flight=places, progress=progress)
    assert list(results) == list(range(shards))
    assert worker.most <= places
    assert progress.done == shards


@given(st.data(), st.integers(1, 30), st.integers(1, 6))
def test_the_first_failure_in_the_shards_order_is_raised_and_nothing_begins_after_it(
    data, shards, places
) -> None:
    bad = data.draw(st.sets(st.integers(0, shards - 1), min_size=1))
    worker = Worker(shards, places, bad, lambda ready: data.draw(st.sampled_from(ready)))
    got = []
    with pytest.raises(ValueError, match=rf"^shard {min(bad)}$"):
        got.extend(in_order(worker.submit, range(shards), in_flight=places, progress=Progress(shards)))
    assert worker.begun == list(range(len(worker.begun)))
    assert len(worker.begun) <= min(bad) + places


def test_what_is_unfinished_when_the_reader_stops_is_cancelled() -> None:
    futures = [Future[int]() for _ in range(5)]
    futures[0].set_result(0)
    results = in_order(futures.__getitem__, range(5), in_flight=3, progress=Progress(5))
    assert next(results) == 0
    results.close()
    assert [future.cancelled() for future in futures] == [False, True, True, False, False]


def test_progress_is_told_at_intervals_with_the_rate_and_the_time_left() -> None:
    said: list[str] = []
    seconds = count(0, 7)  # a look at the clock a shard
    progress = Progress(3000, said.append, every=30, clock=lambda: float(next(seconds)))
    assert list(progress.counted(range(10))) == list(range(10))
    assert said == [
        "5 of 3,000 shards done in 0:00:35, 8.57 a minute, about 5:49:25 left",
        "10 of 3,000 shards done in 0:01:10, 8.57 a minute, about 5:48:50 left",
    ]


def test_a_map_in_which_nothing_ends_says_so_too() -> None:
    said: list[str] = []
    future = Future[int]()

    def report(message: str) -> None:
        said.append(message)
        if len(said) == 2:
            future.set_result(7)

    progress = Progress(1, report, every=0.001)
    assert list(in_order(lambda _: future, [0], in_flight=1, progress=progress)) == [7]
    assert said[:2] == ["0 of 1 shards done in 0:00:00"] * 2

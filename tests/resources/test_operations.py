"""Claims: of several who would ask for the same work, one does."""

import threading
from pathlib import Path

import pytest

from resources.operations import claim, operations


def test_work_is_claimed_once_until_the_claim_is_old(tmp_path: Path) -> None:
    assert claim(tmp_path, ["a", "b"], seconds=60, now=1000) == {"a", "b"}
    assert claim(tmp_path, ["b", "c"], seconds=60, now=1059) == {"c"}
    assert claim(tmp_path, ["a", "c"], seconds=60, now=1060) == {"a"}


def test_a_clock_that_was_set_back_holds_no_claim_for_long(tmp_path: Path) -> None:
    claim(tmp_path, ["a"], seconds=60, now=1_000_000)
    assert claim(tmp_path, ["a"], seconds=60, now=1000) == {"a"}


def test_everything_is_claimed_by_just_one_of_many_at_once(tmp_path: Path) -> None:
    works = [f"work-{number}" for number in range(20)]
    start = threading.Barrier(8)
    granted: list[set[str]] = []

    def take() -> None:
        start.wait()
        granted.append(claim(tmp_path, works, seconds=60, now=1000))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(work for one in granted for work in one) == sorted(works)


def test_a_failure_in_between_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in between"), operations(tmp_path) as connection:
        connection.execute("insert into claims values ('a', 1000)")
        raise ValueError("in between")
    assert claim(tmp_path, ["a"], seconds=60, now=1000) == {"a"}

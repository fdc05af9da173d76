"""Which engine runs; and the local one: results in order, the same with any number of workers, no hanging when one dies."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from phoenix_assets.errors import ConfigError, PhoenixError
from resources.engine import default_workers, open_engine
from resources.local_engine import LocalEngine
from resources.phoenix import Phoenix
from resources.ray_engine import RayEngine


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


def test_the_environment_chooses_the_engine_and_the_resource_overrules_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PHOENIX_ENGINE", raising=False)
    assert isinstance(open_engine("", 2, tmp_path), LocalEngine)
    monkeypatch.setenv("PHOENIX_ENGINE", "ray")
    monkeypatch.setenv("PHOENIX_RAY_ADDRESS", "10.0.0.7:6379")
    chosen = open_engine("", 2, tmp_path)
    assert isinstance(chosen, RayEngine)
    assert (chosen.folder, chosen.address) == (tmp_path / "ray", "10.0.0.7:6379")
    assert isinstance(Phoenix(home=str(tmp_path), engine_kind="local").engine, LocalEngine)


def test_an_engine_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no engine is called 'dask'; choose local or ray"):
        open_engine("dask", 2, tmp_path)


def test_ray_is_imported_only_by_those_who_use_it() -> None:
    program = "import sys, resources.phoenix, resources.ray_engine; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_an_engine_reports_is_in_the_log_of_the_run(tmp_path: Path) -> None:
    phoenix = Phoenix(home=str(tmp_path))

    @dg.asset
    def one() -> None:
        phoenix.engine.report("7 of 9 shards done")

    instance = dg.DagsterInstance.ephemeral(tempdir=str(tmp_path))
    result = dg.materialize([one], instance=instance)
    assert "7 of 9 shards done" in [entry.user_message for entry in instance.all_logs(result.run_id)]

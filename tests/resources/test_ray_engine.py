"""The Ray engine gives what the local engine gives, also when workers are killed, and nobody else reaches its cluster."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import psutil
import pytest

from phoenix_assets.clean.config import load_normalize
from phoenix_assets.clean.stages import normalize_documents
from phoenix_assets.errors import PhoenixError
from phoenix_assets.lineage import SideTable
from phoenix_assets.schema import DOCUMENT, StageOutput, document_id
from resources.build import Build
from resources.engine import Engine
from resources.lake import Lake, Shard, stage
from resources.ledger import LineageLedger
from resources.local_engine import LocalEngine
from resources.ray_engine import RayEngine
from resources.shard_work import shard_work

pytestmark = pytest.mark.slow  # a cluster starts in 5 seconds, and one that lost a worker takes as long

CHINESE = (Path(__file__).parents[1] / "golden" / "funnel_case.txt").read_text("utf-8")
ENGLISH = str(argparse.__doc__)


def interrupted(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayEngine]:
    """An engine on a cluster that runs, in a process with an answer to SIGTERM."""
    home = tmp_path_factory.mktemp("a-home-with-a-name-" + "that-is-too-long-" * 4 + "for-a-socket")
    before = signal.signal(signal.SIGTERM, interrupted)
    engine = RayEngine(2, home / "ray")
    list(engine.map(squared, [1]))
    yield engine
    engine.release()
    signal.signal(signal.SIGTERM, before)


def squared(number: int) -> int:
    return number * number


def refuse(number: int, bad: frozenset[int]) -> int:
    if number in bad:
        raise ValueError(f"shard {number} is bad")
    return number


def die(number: int, bad: int) -> int:
    if number == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def settings_of_a_worker(_: int) -> tuple[str, ...]:
    return tuple(os.environ[name] for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"))


def process_id(_: int) -> int:
    return os.getpid()


def test_results_come_in_the_order_of_the_shards(ray: RayEngine) -> None:
    assert list(ray.map(squared, range(50))) == [number * number for number in range(50)]


def test_a_worker_is_one_core_and_another_process(ray: RayEngine) -> None:
    assert set(ray.map(settings_of_a_worker, range(4))) == {("1", "1", "1")}
    assert os.getpid() not in set(ray.map(process_id, [0]))


def test_the_error_of_the_first_bad_shard_is_raised_with_its_own_type(ray: RayEngine) -> None:
    with pytest.raises(ValueError, match=r"^shard 3 is bad$") as caught:
        list(ray.map(partial(refuse, bad=frozenset({3, 5})), range(8)))
    assert type(caught.value) is ValueError
    assert "in refuse" in str(caught.value.__cause__)
    assert list(ray.map(squared, range(4))) == [0, 1, 4, 9]


def test_a_shard_that_always_kills_its_worker_is_given_up(ray: RayEngine) -> None:
    with pytest.raises(PhoenixError, match=r"^Ray gave a shard up when \d of 4 were done"):
        list(ray.map(partial(die, bad=2), range(4)))
    assert list(ray.map(squared, range(4))) == [0, 1, 4, 9]


class Sent:
    """A shard that knows, when it is sent to a worker, how many are under way."""

    under_way: ClassVar[list[int]] = []

    def __init__(self, number: int, ended: Path) -> None:
        self.number, self.ended = number, ended

    def __reduce__(self) -> tuple[Any, ...]:
        Sent.under_way.append(len(Sent.under_way) + 1 - len(list(self.ended.iterdir())))
        return Sent, (self.number, self.ended)


def end(shard: Sent) -> int:
    (shard.ended / str(shard.number)).touch()
    return shard.number


def test_a_bounded_number_of_shards_is_under_way(ray: RayEngine, tmp_path: Path) -> None:
    Sent.under_way.clear()
    assert list(ray.map(end, [Sent(number, tmp_path) for number in range(100)])) == list(range(100))
    assert len(Sent.under_way) == 100
    assert max(Sent.under_way) <= ray.in_flight < 20


@dataclass(frozen=True)
class InTwoParts:
    """A stage whose worker is killed between the two parts of a shard, once for each marker."""

    kernel: Callable[[pl.DataFrame], StageOutput]
    markers: tuple[Path, ...] = ()

    def __call__(self, shard: Shard) -> Iterable[StageOutput]:
        frame = shard.read()
        yield self.kernel(frame[::2].select(DOCUMENT.names()))
        for marker in self.markers:
            try:
                marker.touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        yield self.kernel(frame[1::2].select(DOCUMENT.names()))


def documents(shard: int) -> pl.DataFrame:
    texts = [CHINESE.splitlines()[row % 10] * (shard + 1) + "\n" + ENGLISH[row * 40 :] for row in range(30)]
    texts[7] = "\u200b\n"  # nothing is left of it
    locators = [f"part-{shard}.txt#{row}" for row in range(len(texts))]
    return pl.DataFrame(
        {
            "doc_id": [document_id("wiki", "d1", locator) for locator in locators],
            "source": "wiki",
            "delivery": "d1",
            "locator": locators,
            "url": "",
            "title": "",
            "lang": "",
            "text": texts,
            "meta": "{}",
        },
        schema=DOCUMENT,
    )


def normalised(engine: Engine, home: Path, markers: tuple[Path, ...] = ()) -> tuple[dict[str, Any], int]:
    """Run the stage into a lake; return what is recorded of it, and how many staged files were not committed."""
    lake = Lake(home)
    build = Build(
        lake=lake,
        ledger=LineageLedger(lake),
        asset="wiki/normalized",
        partition="d1",
        code_version="1",
        config={},
        run_id="run",
        inputs=(),
    )
    upstream = lake.table_dir("wiki/extracted")
    staged = [stage(upstream, documents(shard), column="delivery", partition="d1") for shard in range(6)]
    shards = [Shard(upstream / file.path, "delivery", "d1") for file in staged]
    kernel = InTwoParts(partial(normalize_documents, config=load_normalize("parallel")), markers)
    stored = build.commit_shards(DOCUMENT, engine.map(shard_work(build, kernel), shards))
    recorded = stored.record.model_dump(include={"data_version", "content_hash", "reasons"})
    recorded["rows"] = {name: value for name, value in stored.record.counts.items() if name != "stored_bytes"}
    recorded["ledger"] = stored.record.side_tables[SideTable.LEDGER].data_version
    written = list(build.table_dir.rglob("part-*.parquet"))
    return recorded, len(written) - len(lake.shards(stored.as_input()))


def test_a_stage_makes_the_same_on_both_engines_and_when_workers_are_killed(
    ray: RayEngine, tmp_path: Path
) -> None:
    markers = (tmp_path / "killed", tmp_path / "killed again")
    alone, _ = normalised(LocalEngine(1), tmp_path / "alone")
    assert (alone["rows"]["rows_in"], alone["rows"]["rows_dropped"]) == (180, 6)
    assert normalised(LocalEngine(2), tmp_path / "two") == (alone, 0)
    assert normalised(ray, tmp_path / "ray") == (alone, 0)
    assert normalised(ray, tmp_path / "killed ones", markers) == (alone, 2)
    assert all(marker.exists() for marker in markers)


def test_the_cluster_listens_on_the_loopback_interface_only(ray: RayEngine) -> None:
    listening = {
        socket.laddr.ip.removeprefix("::ffff:")
        for process in psutil.Process().children(recursive=True)
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_process_keeps_its_own_answer_to_sigterm(ray: RayEngine) -> None:
    assert signal.getsignal(signal.SIGTERM) is interrupted


JOIN = """
import json
from pathlib import Path
from resources.engine import open_engine
engine = open_engine("", 1, Path("no-home"))
print(json.dumps(list(engine.map(abs, [-1, 2, -3]))))
engine.release()
"""


def join(**environment: str) -> subprocess.CompletedProcess[str]:
    import ray

    address = ray.get_runtime_context().gcs_address
    changed = os.environ | {"PHOENIX_ENGINE": "ray", "PHOENIX_RAY_ADDRESS": address} | environment
    return subprocess.run(
        [sys.executable, "-c", JOIN], env=changed, capture_output=True, text=True, timeout=120
    )


def test_a_cluster_is_joined_by_its_address_and_outlives_its_guests(ray: RayEngine) -> None:
    assert json.loads(join().stdout) == [1, 2, 3]
    assert list(ray.map(squared, range(4))) == [0, 1, 4, 9]


def test_nobody_joins_without_the_token(ray: RayEngine) -> None:
    refused = join(RAY_AUTH_TOKEN="0" * 64, RAY_NUM_REDIS_GET_RETRIES="1")
    assert refused.returncode != 0
    assert "PhoenixError: PHOENIX_RAY_ADDRESS: cannot join the Ray cluster at '127.0.0.1:" in refused.stderr


def test_release_ends_the_cluster_and_removes_its_files(ray: RayEngine) -> None:
    list(ray.map(squared, [1]))
    assert [path.name for path in ray.folder.glob("session_2*")] != []
    ray.release()
    assert [path.name for path in ray.folder.glob("session_2*")] == []
    assert [
        child.name() for child in psutil.Process().children() if child.name() in {"raylet", "gcs_server"}
    ] == []

"""The real thing: a home with the small corpus, and Dagster's web server and daemon on it, on loopback."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import AssetKey, DagsterEventType, DagsterInstance, EventRecordsFilter, RunsFilter
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES

from phoenix_assets.ingest.sample.build import build_sample, load_sample_config
from resources.instance import prepare_instance

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
HELD_BACK = "sanguo-vol2"
COMMAND_SECONDS, START_SECONDS, STOP_SECONDS = 120, 120, 20
POLL_SECONDS = 0.5
LOG_TAIL = 3000

LOCATIONS = (
    "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
)
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


@dataclass
class Server:
    """A process with its children, in a process group of its own; what it says goes to a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, name: str, arguments: list[str], home: "Home") -> "Server":
        log = home.path / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [str(BIN / arguments[0]), *arguments[1:]],
                cwd=REPOSITORY, env=home.environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return cls(name, process, log)

    def tail(self) -> str:
        return f"--- {self.log} ---\n{self.log.read_text(errors='replace')[-LOG_TAIL:]}"

    def stop(self) -> None:
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, kind)
                self.process.wait(STOP_SECONDS)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


@dataclass
class Home:
    """A `$PHOENIX_HOME` with a configuration of its own."""

    path: Path
    environment: dict[str, str]

    @property
    def landing(self) -> Path:
        return self.path / "landing"

    def phoenix(self, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / "phoenix", *arguments],
            cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"phoenix {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@dataclass
class Dagster:
    """The running web server and daemon, and what their instance has recorded."""

    home: Home
    url: str
    servers: list[Server] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.instance = DagsterInstance.from_config(str(self.home.path / "dagster"))

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - the server's address is ours
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return dict(answer["data"])

    def wait(self, what: str, ready: Callable[[], Any], *, seconds: float) -> Any:
        """Poll until `ready` returns something true; fail with the logs when it takes too long."""
        deadline = time.monotonic() + seconds
        while not (found := ready()):
            dead = [server.name for server in self.servers if server.process.poll() is not None]
            if dead or time.monotonic() > deadline:
                problem = f"{', '.join(dead)} ended" if dead else f"not after {seconds:.0f} s"
                logs = "\n".join(server.tail() for server in self.servers)
                pytest.fail(f"{what}: {problem}\n{self.runs_text()}\n{logs}", pytrace=False)
            time.sleep(POLL_SECONDS)
        return found

    def is_up(self) -> bool:
        try:
            entries = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
            daemons = self.ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        loaded = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
        return loaded == ["RepositoryLocation"] and all(one["healthy"] for one in daemons if one["required"])

    def cursor(self) -> int:
        """Return the place in the event log that `made_since` counts from."""
        return self.instance.event_log_storage.get_maximum_record_id() or 0

    def made_since(self, cursor: int) -> list[str]:
        """Return the asset partitions materialised after `cursor`, in order: `cc/raw[…]`, `mix/v3`."""
        wanted = EventRecordsFilter(DagsterEventType.ASSET_MATERIALIZATION, after_cursor=cursor)
        records = self.instance.get_event_records(wanted, ascending=True)
        events = [record.event_log_entry.dagster_event for record in records]
        return [
            f"{event.asset_key.to_user_string()}{f'[{event.partition}]' if event.partition else ''}"
            for event in events
            if event and event.asset_key
        ]

    def is_made(self, asset: str, cursor: int) -> bool:
        record = self.instance.get_latest_materialization_event(AssetKey(asset.split("/")))
        self.fail_on_failed_runs()
        return record is not None and asset in self.made_since(cursor)

    def is_quiet(self, ticks: int) -> bool:
        """Return whether nothing runs and the automation sensor has looked so often since, without asking for a run."""
        if self.instance.get_runs(RunsFilter(statuses=NOT_FINISHED_STATUSES), limit=1):
            return False
        (newest, *_) = [*self.instance.get_run_records(RunsFilter(statuses=FINISHED_STATUSES), limit=1), None]
        ended = newest.end_time or 0 if newest else 0
        states = [state for state in self.instance.all_instigator_state() if state.name == "automation"]
        looked = [
            tick
            for state in states
            for tick in self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=ticks)
            if tick.timestamp > ended and tick.is_completed
        ]
        return len(looked) == ticks

    def fail_on_failed_runs(self) -> None:
        assert "FAILURE" not in self.runs_text(), self.runs_text()

    def runs_text(self) -> str:
        return "\n".join(
            f"{record.dagster_run.status.value} {record.dagster_run.tags.get('dagster/partition', '')} "
            f"{sorted(key.to_user_string() for key in record.dagster_run.asset_selection or ())} "
            f"{(record.end_time or 0) - (record.start_time or 0):.1f} s"
            for record in self.instance.get_run_records(limit=30)
        )


@pytest.fixture(scope="module")
def home(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return a home with the small corpus, one delivery held back, and sensors that look every second."""
    path = tmp_path_factory.mktemp("e2e") / "home"
    shutil.copytree(small_corpus, path, symlinks=True)
    config = path / "config"
    shutil.copytree(REPOSITORY / "config", config)
    landing = config / "landing.yaml"
    quick = {"interval_seconds": 1, "automation_interval_seconds": 1, "settle_seconds": 1}
    landing.write_text(yaml.safe_dump({**yaml.safe_load(landing.read_text()), **quick}))
    sample = load_sample_config()
    held_back = tuple(one for one in sample.deliveries if one.delivery == HELD_BACK)
    build_sample(
        path / "held-back", sample.model_copy(update={"deliveries": held_back}), small=True,
        cache=path / "cache" / "archives",
    )  # fmt: skip
    environment = {
        **os.environ,
        "PHOENIX_HOME": str(path),
        "PHOENIX_CONFIG": str(config),
        "DAGSTER_HOME": str(prepare_instance(path)),
    }
    return Home(path, environment)


@pytest.fixture(scope="module")
def dagster(home: Home) -> Iterator[Dagster]:
    """Return a web server and a daemon at work on the home, sensors running."""
    port = _free_port()
    running = Dagster(home, f"http://127.0.0.1:{port}")
    web = ["dagster-webserver", "--host", "127.0.0.1", "--port", str(port), "--workspace", "workspace.yaml"]
    try:
        running.servers.append(Server.start("webserver", web, home))
        running.servers.append(
            Server.start("daemon", ["dagster-daemon", "run", "-w", "workspace.yaml"], home)
        )
        running.wait("the web server and the daemon", running.is_up, seconds=START_SECONDS)
        yield running
    finally:
        for server in running.servers:
            server.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

"""The web server: on loopback unless asked otherwise, and beyond it read-only unless asked otherwise."""

import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from phoenix_assets.cli.ui import commands, is_loopback

EVERYWHERE = str(ipaddress.IPv4Address(0))
REPOSITORY = Path(__file__).resolve().parents[2]
MUTATION = 'mutation { startSensor(sensorSelector: {repositoryName: "__repository__", repositoryLocationName: "phoenix",'
MUTATION += ' sensorName: "landing"}) { __typename } }'


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.5.5.5", True), (EVERYWHERE, False), ("::", False),
     ("10.1.2.3", False), ("phoenix.example", False)],
)  # fmt: skip
def test_only_loopback_is_loopback(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


def test_what_is_started_is_read_only_unless_it_may_write() -> None:
    server, daemon = commands(EVERYWHERE, 3000, Path("workspace.yaml"), writable=False)
    assert server[-1] == "--read-only" and server[server.index("-h") + 1] == EVERYWHERE
    assert daemon[1] == "run"
    assert "--read-only" not in commands("127.0.0.1", 3000, Path("workspace.yaml"), writable=True)[0]


@contextmanager
def served(home: Path, *options: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PHOENIX_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    program = "from phoenix_assets.cli import main; main()"
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "ui", "--port", str(port), *options],
            cwd=REPOSITORY, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while not _answers("127.0.0.1", port):
            assert process.poll() is None and time.monotonic() < deadline, (home / "log").read_text()[-3000:]
            time.sleep(0.5)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    assert not _answers("127.0.0.1", port)


def _answers(host: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((host, port)) == 0


def mutation(port: int) -> str:
    body = json.dumps({"query": MUTATION}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return json.load(response)["data"]["startSensor"]["__typename"]


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return probe.getsockname()[0]


@pytest.mark.slow
def test_by_default_it_is_not_reached_from_outside_and_may_be_worked_with(tmp_path: Path) -> None:
    with served(tmp_path) as port:
        assert not _answers(own_address(), port)
        assert mutation(port) in {"Sensor", "SensorNotFoundError"}  # as soon as the code location is loaded


@pytest.mark.slow
def test_beyond_loopback_it_shows_and_changes_nothing(tmp_path: Path) -> None:
    with served(tmp_path, "--host", EVERYWHERE) as port:
        assert _answers(own_address(), port)
        assert mutation(port) == "UnauthorizedError"

"""`phoenix ui`: the web server and the daemon of this home, ended together."""

import ipaddress
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import click

from phoenix_assets.cli.main import main

_LOOK_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 20


@main.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; others are read-only."
)
@click.option("--port", default=3000, show_default=True)
@click.option(
    "--writable/--read-only", default=None, help="May runs be started from it? (default: only on loopback)"
)
def ui(host: str, port: int, writable: bool | None) -> None:
    """Start the web server and the daemon; both end when one does, or with Ctrl-C.

    The web server knows no users: beyond loopback it shows everything and changes nothing, unless --writable says so.
    """
    from phoenix_assets.config import config_dir
    from resources.instance import prepare_instance
    from resources.lake import phoenix_home

    os.environ.setdefault("DAGSTER_HOME", str(prepare_instance(phoenix_home())))
    may_write = is_loopback(host) if writable is None else writable
    click.echo(f"Phoenix: http://{host}:{port}{'' if may_write else ' (read-only)'}")
    sys.exit(_run(commands(host, port, config_dir().parent / "workspace.yaml", writable=may_write)))


def commands(host: str, port: int, workspace: Path, *, writable: bool) -> list[list[str]]:
    """Return the command lines of the web server and of the daemon."""
    programs = Path(sys.executable).parent
    server = [str(programs / "dagster-webserver"), "-w", str(workspace), "-h", host, "-p", str(port)]
    return [
        server if writable else [*server, "--read-only"],
        [str(programs / "dagster-daemon"), "run", "-w", str(workspace)],
    ]


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _run(command_lines: Sequence[Sequence[str]]) -> int:
    """Run commands until one of them ends or a signal comes, then end all; return the exit code of the first."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    processes = [subprocess.Popen(line, start_new_session=True) for line in command_lines]
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(_LOOK_SECONDS)
        return next(code for process in processes if (code := process.poll()) is not None)
    except KeyboardInterrupt:
        return 0
    finally:
        _end(processes)


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, kind)
        deadline = time.monotonic() + _STOP_SECONDS
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

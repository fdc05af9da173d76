"""What supervisor and launcher tell each other through a job's state folder.

job.json        the TrainingJob            messages.jsonl  what the trainer reports (append-only)
process.json    who runs it                log.txt         what the trainer and its libraries print
heartbeat.json  when it last lived         checkpoints/    whole checkpoints
exit.json       how it ended (written once, atomically)
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Final

import psutil

from phoenix_assets.config import Config

PROCESS_FILE: Final = "process.json"
HEARTBEAT_FILE: Final = "heartbeat.json"
EXIT_FILE: Final = "exit.json"
LOG_FILE: Final = "log.txt"


class ProcessId(Config):
    """A process, told apart from a later one of the same number by its start time (Unix seconds)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Identify the running process `pid`. Raises psutil.NoSuchProcess when there is none."""
        return cls(pid=pid, started=psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Return the process while it runs (a zombie does not), else None."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class JobProcesses(Config):
    """What runs a job: the supervisor, the trainer, and the process group of both."""

    supervisor: ProcessId
    trainer: ProcessId
    group: int


class Exit(Config):
    """How a trainer ended: its exit code (negative: killed by that signal)."""

    exit_code: int
    cancelled: bool
    ended: datetime


class Heartbeat(Config):
    """When the supervisor last saw the trainer alive."""

    at: datetime


def python_path() -> str:
    """Return the PYTHONPATH under which a new process finds this package."""
    packages = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join(part for part in (packages, os.environ.get("PYTHONPATH", "")) if part)

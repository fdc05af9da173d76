"""Start, adopt, follow and cancel local training jobs.

`adopt_or_launch` is idempotent by job key: a running job is adopted, a finished one is taken as finished, a
failed or vanished one goes on from its last whole checkpoint. The job does not depend on the launcher's life.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

import psutil
from pydantic import ValidationError

from phoenix_assets.config import Config
from training_jobs.atomic_file import write_atomically
from training_jobs.checkpoints import CheckpointManifest, checkpoint_dir, read_manifest, verify
from training_jobs.errors import CheckpointError, JobConflict, TrainingJobError
from training_jobs.job import JOB_FILE, TrainingJob
from training_jobs.job_state import (
    EXIT_FILE,
    HEARTBEAT_FILE,
    LOG_FILE,
    PROCESS_FILE,
    Exit,
    Heartbeat,
    JobProcesses,
    python_path,
)
from training_jobs.messages import MESSAGES_FILE, Message, tail

LAUNCH_LOCK: Final = "launch.lock"
_POLL: Final = 0.05

StateT = TypeVar("StateT", bound=Config)


class JobStatus(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"  # exit code 0 and the final checkpoint's manifest
    FAILED = "failed"
    VANISHED = "vanished"  # no process and no exit code: killed with its supervisor, or never started


@dataclass(frozen=True)
class JobHandle:
    """A job by its state folder; any process may hold one, at any time."""

    job: TrainingJob
    state_dir: Path

    def status(self) -> JobStatus:
        """Return where the job stands now."""
        ended = self.exit()
        if ended is not None:
            return JobStatus.SUCCEEDED if ended.exit_code == 0 and self._finished() else JobStatus.FAILED
        return JobStatus.RUNNING if self._alive() else JobStatus.VANISHED

    def exit(self) -> Exit | None:
        """Return how the trainer ended, or None while it runs or when nobody saw it end."""
        return _read(Exit, self.state_dir / EXIT_FILE)

    def processes(self) -> JobProcesses | None:
        """Return the processes that run, or last ran, the job."""
        return _read(JobProcesses, self.state_dir / PROCESS_FILE)

    def heartbeat_age(self) -> float | None:
        """Return the seconds since the supervisor last saw the trainer alive, or None when it never did."""
        heartbeat = _read(Heartbeat, self.state_dir / HEARTBEAT_FILE)
        return None if heartbeat is None else (datetime.now(UTC) - heartbeat.at).total_seconds()

    def messages(self, offset: int = 0) -> tuple[list[Message], int]:
        """Return the trainer's whole messages from byte `offset` on, and the offset to continue from."""
        return tail(self.state_dir / MESSAGES_FILE, offset)

    def log_tail(self, size: int = 8192) -> str:
        """Return the last `size` bytes of the trainer's output."""
        try:
            with (self.state_dir / LOG_FILE).open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - size))
                return stream.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def final_checkpoint(self) -> CheckpointManifest:
        """Return the last step's checkpoint, hashes checked. Raises CheckpointError when it is not whole."""
        manifest = read_manifest(checkpoint_dir(self.state_dir, self.job.steps))
        verify(manifest)
        return manifest

    def cancel(self) -> None:
        """End the job: SIGTERM to its process group, SIGKILL to what is left after the grace. Idempotent."""
        processes = self.processes()
        if processes is None or not self._alive():
            return
        grace = self.job.supervision.grace
        os.killpg(processes.group, signal.SIGTERM)
        if not self._ends_within(grace + 2 * self.job.supervision.heartbeat):
            os.killpg(processes.group, signal.SIGKILL)
            self._ends_within(grace)
        if self.exit() is None:
            ended = Exit(exit_code=-signal.SIGKILL, cancelled=True, ended=datetime.now(UTC))
            write_atomically(self.state_dir / EXIT_FILE, ended.model_dump_json())

    def _ends_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True

    def _alive(self) -> list[psutil.Process]:
        processes = self.processes()
        if processes is None:
            return []
        found = (identity.process() for identity in (processes.supervisor, processes.trainer))
        return [process for process in found if process is not None]

    def _finished(self) -> bool:
        try:
            verify(read_manifest(checkpoint_dir(self.state_dir, self.job.steps)), hashes=False)
        except CheckpointError:
            return False
        return True


def adopt_or_launch(job: TrainingJob, jobs_dir: Path) -> JobHandle:
    """Return a handle on the job of `job.job_key` under `jobs_dir`, starting or resuming it when it must be.

    Raises JobConflict when the folder holds another run under the same key, TrainingJobError when the
    supervisor does not start in time.
    """
    state_dir = jobs_dir.resolve() / job.job_key
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / LAUNCH_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        handle = JobHandle(_settle(job, state_dir), state_dir)
        if handle.status() in (JobStatus.FAILED, JobStatus.VANISHED):
            job.save(state_dir)
            handle = JobHandle(job, state_dir)
            _launch(handle)
    return handle


def _settle(job: TrainingJob, state_dir: Path) -> TrainingJob:
    """Return the job that the folder is about; the first one to come is written down."""
    if not (state_dir / JOB_FILE).exists():
        job.save(state_dir)
        return job
    stored = TrainingJob.load(state_dir)
    if not stored.same_run(job):
        raise JobConflict(
            f"{state_dir}: this folder's {JOB_FILE} learns something else under the same key {job.job_key}: "
            "give the changed run another fingerprint"
        )
    return stored


def _launch(handle: JobHandle) -> None:
    for name in (EXIT_FILE, PROCESS_FILE, HEARTBEAT_FILE):
        (handle.state_dir / name).unlink(missing_ok=True)
    with (handle.state_dir / LOG_FILE).open("ab") as log:
        detaching = subprocess.Popen(
            [sys.executable, "-m", "training_jobs.supervisor", str(handle.state_dir)],
            cwd=handle.state_dir,
            env={**os.environ, "PYTHONPATH": python_path()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    patience = handle.job.supervision.start
    deadline = time.monotonic() + patience
    failed = detaching.wait(timeout=patience) != 0
    while handle.processes() is None and handle.exit() is None:
        if failed or time.monotonic() > deadline:
            raise TrainingJobError(
                f"{handle.state_dir}: the supervisor did not start in {patience:g} s; its output ends with:\n"
                f"{handle.log_tail(2048)}"
            )
        time.sleep(_POLL)


def _read(model: type[StateT], path: Path) -> StateT | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise TrainingJobError(f"{path}: not readable, delete it: {error}") from error

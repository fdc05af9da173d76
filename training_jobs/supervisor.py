"""Watch one local trainer, outliving whoever asked for it: `python -m training_jobs.supervisor STATE_DIR`.

The supervisor detaches itself, takes the state folder's lock (which the trainer inherits, so that no second
trainer can start while either lives), starts the trainer with its output in `log.txt`, writes `process.json`,
a heartbeat, and at the end `exit.json`. On SIGTERM it passes the signal on and kills after the grace.
`training_jobs.launcher` starts it and reads what it writes.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from training_jobs.atomic_file import write_atomically
from training_jobs.errors import JobConflict
from training_jobs.job import Accelerator, TrainingJob
from training_jobs.job_state import (
    EXIT_FILE,
    HEARTBEAT_FILE,
    LOG_FILE,
    PROCESS_FILE,
    Exit,
    Heartbeat,
    JobProcesses,
    ProcessId,
    python_path,
)

TRAINER_LOCK: Final = "trainer.lock"
TRAINER_MODULE: Final = "training_jobs.nemo_toolkit"

_LOCK_POLL: Final = 0.1
_OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "PYTHONUNBUFFERED": "1",
}
# On a CPU that other processes use too, threads that spin while they wait stall each other (a tenth of the speed),
# and activations of some megabytes would be mapped and unmapped at every step: keep them in the heap.
_CPU_RUNTIME: Final = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
}


def trainer_environment(job: TrainingJob) -> dict[str, str]:
    """Return the trainer's environment: no hub access, no unrestricted unpickling, the job's threads."""
    threads = {"OMP_NUM_THREADS": str(job.threads), "MKL_NUM_THREADS": str(job.threads)}
    runtime = _CPU_RUNTIME if job.hardware.accelerator is Accelerator.CPU else {}
    return {**os.environ, **_OFFLINE, **threads, **runtime, "PYTHONPATH": python_path()}


def supervise(state_dir: Path) -> int:
    """Run the trainer of `state_dir` to its end and return its exit code.

    Raises JobConflict when another supervisor or trainer still holds the lock after the job's start time.
    """
    job = TrainingJob.load(state_dir)
    with (state_dir / TRAINER_LOCK).open("w") as lock:
        _acquire(lock, job.supervision.start, state_dir)
        stop = _StopRequest()
        with (state_dir / LOG_FILE).open("ab") as log:
            trainer = subprocess.Popen(
                [sys.executable, "-m", TRAINER_MODULE, str(state_dir)],
                cwd=state_dir,
                env=trainer_environment(job),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
            )
        _write_processes(state_dir, trainer.pid)
        exit_code = _wait(trainer, state_dir, job, stop)
        ended = Exit(exit_code=exit_code, cancelled=stop.requested is not None, ended=datetime.now(UTC))
        write_atomically(state_dir / EXIT_FILE, ended.model_dump_json())
    return exit_code


class _StopRequest:
    """Remembers when SIGTERM came."""

    def __init__(self) -> None:
        self.requested: float | None = None
        signal.signal(signal.SIGTERM, self._receive)

    def _receive(self, _signal: int, _frame: object) -> None:
        self.requested = self.requested or time.monotonic()


def _acquire(lock: IO[str], patience: float, state_dir: Path) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise JobConflict(
                    f"{state_dir}: another trainer holds {TRAINER_LOCK}; wait for its end"
                ) from None
            time.sleep(_LOCK_POLL)


def _write_processes(state_dir: Path, trainer_pid: int) -> None:
    processes = JobProcesses(
        supervisor=ProcessId.of(os.getpid()),
        trainer=ProcessId.of(trainer_pid),
        group=os.getpgrp(),
    )
    write_atomically(state_dir / PROCESS_FILE, processes.model_dump_json())


def _wait(trainer: "subprocess.Popen[bytes]", state_dir: Path, job: TrainingJob, stop: _StopRequest) -> int:
    told = False
    while True:
        write_atomically(state_dir / HEARTBEAT_FILE, Heartbeat(at=datetime.now(UTC)).model_dump_json())
        try:
            return trainer.wait(timeout=job.supervision.heartbeat)
        except subprocess.TimeoutExpired:
            if stop.requested is None:
                continue
        if not told:
            trainer.terminate()
            told = True
        elif time.monotonic() - stop.requested > job.supervision.grace:
            trainer.kill()


def main(arguments: list[str]) -> int:
    """Detach from the launcher (the first process returns at once), then supervise the given state folder."""
    if os.fork():
        return 0
    return supervise(Path(arguments[0]).resolve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

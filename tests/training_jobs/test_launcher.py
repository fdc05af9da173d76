"""Real supervisors and trainers: adoption, death of the launcher, death of the trainer, cancelling."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from training_jobs.checkpoints import list_checkpoints
from training_jobs.errors import JobConflict
from training_jobs.job import Batch, Hardware, Supervision, TrainingJob
from training_jobs.launcher import JobHandle, JobStatus, adopt_or_launch
from training_jobs.messages import metrics_by_step

pytestmark = pytest.mark.slow

MakeJob = Callable[..., TrainingJob]
PATIENCE = 120.0
LARGE = Batch(tokens=16 * 192, sequence_length=16)
LAUNCHER = """
import sys, time
from pathlib import Path
from training_jobs.job import TrainingJob
from training_jobs.launcher import adopt_or_launch
handle = adopt_or_launch(TrainingJob.load(Path(sys.argv[1])), Path(sys.argv[2]))
print(handle.processes().trainer.pid, flush=True)
time.sleep(1000)
"""


def wait_until(condition: Callable[[], bool], handle: JobHandle) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, handle.log_tail()
        time.sleep(0.01)


def ended(handle: JobHandle) -> Callable[[], bool]:
    return lambda: handle.status() is not JobStatus.RUNNING


def last_step(handle: JobHandle) -> int:
    return max(metrics_by_step(handle.messages()[0]), default=0)


def opened(handle: JobHandle) -> list[int]:
    messages, _ = handle.messages()
    return [message.params["extras"]["from_step"] for message in messages if message.method == "opened"]


@pytest.fixture
def slow_job(make_job: MakeJob) -> TrainingJob:
    """The tiny job with enough work a step to be caught in the middle."""
    return make_job(batch=LARGE)


@pytest.fixture
def jobs_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "jobs"
    yield folder
    for state_dir in folder.glob("*"):
        JobHandle(TrainingJob.load(state_dir), state_dir).cancel()


def test_a_trainer_outlives_its_launcher_and_resumes_after_its_own_death(
    slow_job: TrainingJob, jobs_dir: Path, tmp_path: Path
) -> None:
    slow_job.save(tmp_path)
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path), str(jobs_dir)], stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout is not None
    first_pid = int(launcher.stdout.readline())
    launcher.kill()
    launcher.wait()

    adopted = adopt_or_launch(slow_job, jobs_dir)
    processes = adopted.processes()
    assert processes is not None
    assert processes.trainer.pid == first_pid
    assert adopted.status() is JobStatus.RUNNING

    wait_until(lambda: last_step(adopted) >= 6, adopted)
    os.kill(first_pid, signal.SIGKILL)
    wait_until(ended(adopted), adopted)
    assert adopted.status() is JobStatus.FAILED
    assert adopted.exit().exit_code == -signal.SIGKILL
    assert [manifest.step for manifest in list_checkpoints(adopted.state_dir)] == [4]

    resumed = adopt_or_launch(slow_job, jobs_dir)
    assert resumed.processes().trainer.pid != first_pid
    undisturbed = adopt_or_launch(
        slow_job.model_copy(update={"base": slow_job.base}), tmp_path / "undisturbed"
    )
    wait_until(ended(resumed), resumed)
    wait_until(ended(undisturbed), undisturbed)
    assert (resumed.status(), undisturbed.status()) == (JobStatus.SUCCEEDED, JobStatus.SUCCEEDED)
    assert opened(resumed) == [0, 4]
    final, expected = resumed.final_checkpoint(), undisturbed.final_checkpoint()
    assert final.train_loss == pytest.approx(expected.train_loss, rel=1e-6)
    assert final.validation_loss == pytest.approx(expected.validation_loss, rel=1e-6)
    assert resumed.heartbeat_age() is not None

    again = adopt_or_launch(slow_job, jobs_dir)
    assert again.status() is JobStatus.SUCCEEDED
    assert again.processes() == resumed.processes()
    with pytest.raises(JobConflict, match="another fingerprint"):
        adopt_or_launch(slow_job.model_copy(update={"seed": 1}), jobs_dir)

    (final.directory / "manifest.json").unlink()
    assert again.status() is JobStatus.FAILED


def test_many_launchers_at_once_start_one_trainer_and_cancel_ends_it(
    make_job: MakeJob, jobs_dir: Path
) -> None:
    job = make_job(batch=LARGE, steps=200, supervision=Supervision(heartbeat=0.5, grace=20))
    with ThreadPoolExecutor(4) as pool:
        handles = list(pool.map(lambda _: adopt_or_launch(job, jobs_dir), range(4)))
    assert len({handle.processes().trainer.pid for handle in handles}) == 1
    handle = handles[0]
    assert handle.status() is JobStatus.RUNNING
    group = handle.processes().group
    wait_until(lambda: last_step(handle) >= 1, handle)
    handle.cancel()
    assert handle.status() is JobStatus.FAILED
    assert handle.exit().cancelled
    assert last_step(handle) < job.steps
    left = [p for p in psutil.process_iter() if p.status() != psutil.STATUS_ZOMBIE and _group(p) == group]
    assert left == []


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def test_a_trainer_whose_supervisor_died_is_still_the_only_one(slow_job: TrainingJob, jobs_dir: Path) -> None:
    handle = adopt_or_launch(slow_job, jobs_dir)
    processes = handle.processes()
    assert processes is not None
    os.kill(processes.supervisor.pid, signal.SIGKILL)
    wait_until(lambda: processes.supervisor.process() is None, handle)
    assert handle.status() is JobStatus.RUNNING
    assert adopt_or_launch(slow_job, jobs_dir).processes() == processes
    os.kill(processes.trainer.pid, signal.SIGKILL)
    wait_until(ended(handle), handle)
    assert handle.status() is JobStatus.VANISHED


def test_two_data_parallel_ranks_learn_what_one_does(make_job: MakeJob, jobs_dir: Path) -> None:
    one = make_job()
    two = make_job(fingerprint="ddp", hardware=Hardware(devices=2, micro_batch_size=2))
    handles = [adopt_or_launch(job, jobs_dir) for job in (one, two)]
    for handle in handles:
        wait_until(ended(handle), handle)
        assert handle.status() is JobStatus.SUCCEEDED, handle.log_tail()
    losses = [handle.final_checkpoint() for handle in handles]
    assert losses[1].train_loss == pytest.approx(losses[0].train_loss, rel=1e-4)
    assert losses[1].validation_loss == pytest.approx(losses[0].validation_loss, rel=1e-4)
    assert len(metrics_by_step(handles[1].messages()[0])) == two.steps

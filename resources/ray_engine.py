"""A Ray cluster: one that is there already, by its address, or one of this process's own on this machine.

A worker that dies, or a node that is lost, costs a retry of its shards and changes no result. The nodes of a cluster have
this version of Phoenix installed and see `$PHOENIX_HOME` at the same path.

Ray pickles functions and results between its processes, and who can reach its ports can run code. Our own cluster
listens on the loopback interface only and asks for a token that its processes alone know, so it trusts what
`multiprocessing` trusts. A cluster by address is as safe as its administrators made it (`$RAY_AUTH_MODE`).
"""

import atexit
import logging
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

from phoenix_assets.errors import PhoenixError
from resources.engine import AHEAD, ONE_THREAD
from resources.shard_results import Progress, Report, in_order, unreported

ShardT = TypeVar("ShardT")
ResultT = TypeVar("ResultT")

_TRIES_MORE: Final = 3
_IN_FLIGHT_ON_A_CLUSTER: Final = 10_000  # an autoscaler sees the demand; the scheduler does not feel it
_OBJECT_STORE_BYTES: Final = 100 << 20  # results are lists of staged files; what is more goes to disk
_JOB: Final = {"logging_level": logging.ERROR, "runtime_env": {"env_vars": ONE_THREAD}}
_OF_EVERY_DRIVER: Final = {
    "RAY_task_oom_retries": str(_TRIES_MORE),  # else a shard too large is tried for ever
}
_OF_OUR_CLUSTER: Final = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback only: `_node_ip_address` would be turned into a public one
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
}


class RayEngine:
    """A cluster at `address`, or else `workers` processes under a cluster of our own with its files in `folder`.

    It is joined or started at the first map, once a process.
    """

    def __init__(self, workers: int, folder: Path, address: str = "", report: Report = unreported) -> None:
        self.workers = max(1, workers)
        self.folder = folder
        self.address = address
        self.report = report

    @property
    def in_flight(self) -> int:
        """Shards that are submitted and not finished, at most."""
        return _IN_FLIGHT_ON_A_CLUSTER if self.address else AHEAD * self.workers

    def map(self, function: Callable[[ShardT], ResultT], shards: Iterable[ShardT]) -> Iterator[ResultT]:
        """Yield `function(shard)` for each shard, in order. An exception in a worker is raised here.

        Raises PhoenixError when a shard's workers died again and again.
        """
        todo = list(shards)
        if not todo:
            return
        ray = self._connected()
        progress = Progress(len(todo), self.report)
        task = ray.remote(num_cpus=1, max_retries=_TRIES_MORE)(_apply)
        kernel = ray.put(function)
        try:
            yield from in_order(
                lambda shard: task.remote(kernel, shard).future(),
                todo,
                in_flight=self.in_flight,
                progress=progress,
                cancel=lambda future: ray.cancel(future.object_ref),
            )
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise PhoenixError(
                f"Ray gave a shard up when {progress.done} of {len(todo)} were done: {error}; give its workers more "
                "memory, or look into Ray's logs"
            ) from error

    def release(self) -> None:
        """Leave the cluster, and end it if it is our own."""
        _ENDING.close()

    def _connected(self) -> Any:
        """Return the module `ray`, connected; it reads its environment when it is first imported."""
        os.environ.update(_OF_EVERY_DRIVER if self.address else _OF_EVERY_DRIVER | _OF_OUR_CLUSTER)
        import ray

        if not ray.is_initialized():
            with _sigterm_as_it_is():
                if self.address:
                    _join(ray, self.address)
                else:
                    _start(ray, self.workers, self.folder)
            _ENDING.callback(ray.shutdown, wait_for_processes=True)
        return ray


# What is to be undone when the cluster is left. A session that ends in a crash stays in the folder, with its logs.
_ENDING = ExitStack()
atexit.register(_ENDING.close)


def _join(ray: Any, address: str) -> None:
    try:
        ray.init(address=address, **_JOB)
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise PhoenixError(
            f"PHOENIX_RAY_ADDRESS: cannot join the Ray cluster at {address!r}: {error}; its address is the head's "
            "<host>:<port>, and RAY_AUTH_TOKEN must hold its token when it asks for one"
        ) from error


def _start(ray: Any, workers: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Ray's sockets lie in its folder, and a socket's path has at most 107 bytes: a short way to the folder.
    short = Path(_ENDING.enter_context(TemporaryDirectory(prefix="phoenix-"))) / "ray"
    short.symlink_to(folder, target_is_directory=True)
    started = ray.init(
        address="local",
        num_cpus=workers,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        _temp_dir=str(short),
        **_JOB,
    )
    session = folder / Path(started.address_info["session_dir"]).name
    _ENDING.callback(shutil.rmtree, session, ignore_errors=True)


@contextmanager
def _sigterm_as_it_is() -> Iterator[None]:
    """Keep the process's own answer to SIGTERM, which Ray replaces: Dagster ends a run by it."""
    answer = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and answer is not None:
            signal.signal(signal.SIGTERM, answer)


def _apply(function: Callable[[ShardT], ResultT], shard: ShardT) -> ResultT:
    return function(shard)

"""Run one benchmark program once, in this process, and write what it took as JSON.

Started by `bench.harness` as `python -m bench.program MODULE REQUEST RESPONSE LIMIT` under the interpreter of the
product or of the peers; it uses nothing but the standard library, so that it runs in both.
"""

import gc
import importlib
import json
import math
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, Protocol

LEAST_CPU_S = 1.0


class Program(Protocol):
    """What a module under `bench/ours` and `bench/peers` offers."""

    def prepare(self, params: dict[str, Any]) -> Any:
        """Import, read the documents, load models, compile: everything that a long run pays once."""

    def run(self, state: Any) -> Any:
        """Do the work that is measured, over all documents."""

    def report(self, state: Any, result: Any) -> dict[str, Any]:
        """Return figures about the result as JSON values, among them `documents`: how many were worked on."""


def cpu_seconds() -> float:
    """Return the CPU time (user + system, seconds) that this process and its ended children have used."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_rss_mb() -> float:
    """Return the most memory (resident, MB) that this process has had; 0 where the system does not say (no Linux)."""
    status = Path("/proc/self/status")
    lines = status.read_text("ascii").splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1000


def execute(program: Program, params: dict[str, Any], least_cpu_s: float = LEAST_CPU_S) -> dict[str, Any]:
    """Prepare, run and report `program`; return `cpu_s`, `wall_s` (both of one `run`), `passes`, `peak_rss_mb`, `report`.

    A program that is done sooner than `least_cpu_s` runs again over the same documents until it has used that
    much.
    """
    state = program.prepare(params)
    gc.collect()
    passes = 0
    cpu_before, wall_before = cpu_seconds(), time.perf_counter()
    while passes == 0 or cpu_seconds() - cpu_before < least_cpu_s:
        result = program.run(state)
        passes += 1
    cpu_after, wall_after, peak = cpu_seconds(), time.perf_counter(), peak_rss_mb()
    return {
        "cpu_s": (cpu_after - cpu_before) / passes,
        "wall_s": (wall_after - wall_before) / passes,
        "passes": passes,
        "peak_rss_mb": peak,
        "report": program.report(state, result),
    }


def main(module: str, request: str, response: str, limit_s: str) -> None:
    """Execute the program `module` with the parameters in the file `request`; write the file `response`.

    It is ended when it needs more than `limit_s` of CPU time.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(float(limit_s)), resource.RLIM_INFINITY))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    params = json.loads(Path(request).read_text("utf-8"))
    measured = execute(importlib.import_module(module), params)
    Path(response).write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

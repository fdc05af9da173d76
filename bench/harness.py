"""Measure programs in fresh processes, ours and theirs in turn, and say which is better by how much.

CPU time, not the clock: a busy machine makes a run longer, hardly dearer. Each run is one process on one core
with every thread pool set to one thread; the figure of a program is the median of its runs.
"""

import json
import os
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
THREAD_POOLS = ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMBA")
ONE_THREAD = {f"{pool}_NUM_THREADS": "1" for pool in THREAD_POOLS} | {"POLARS_MAX_THREADS": "1"}
IDLE = 10  # times as long as a program may work, it may take: a busy machine lets it wait
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
DOCUMENTS_PER_CPU_SECOND = "documents_per_cpu_second"


class MeasurementError(Exception):
    """A program failed, ran out of time or reported something that is no measurement."""


@dataclass(frozen=True)
class Contestant:
    """A program: its name in the table, its module, the interpreter and the folder that it is run in."""

    name: str
    module: str
    interpreter: Path
    folder: Path = ROOT


@dataclass(frozen=True)
class Measurement:
    """The median run of a program over `documents` documents, and the report of its last run."""

    cpu_s: float
    wall_s: float
    documents: int
    runs: int
    peak_rss_mb: float
    report: dict[str, Any]

    @property
    def documents_per_cpu_second(self) -> float:
        """Return the throughput on one core."""
        return self.documents / self.cpu_s


@dataclass(frozen=True)
class Result:
    """One row of `bench/results.json`; `ratio` > 1 means that ours is better."""

    bench: str
    subject: str
    peer: str
    metric: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    runs: int


def run_once(contestant: Contestant, params: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """Run a program in a fresh process; return its `cpu_s`, `wall_s`, `peak_rss_mb` and `report`.

    Raises MeasurementError when it exits with an error, needs more than `timeout_s` of CPU time or uses no measurable
    time.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        request, response = Path(folder, "request.json"), Path(folder, "response.json")
        request.write_text(json.dumps(params), encoding="utf-8")
        command = [
            str(contestant.interpreter),
            "-m",
            "bench.program",
            contestant.module,
            str(request),
            str(response),
            str(timeout_s),
        ]
        late = MeasurementError(
            f"{contestant.name}: not done after {timeout_s} s of CPU time, or {IDLE} times as long; use fewer documents"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        try:
            done = subprocess.run(
                command,
                cwd=contestant.folder,
                env={**environment, **ONE_THREAD, **OFFLINE, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=IDLE * timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise late from error
        if done.returncode == -signal.SIGXCPU:
            raise late
        if done.returncode != 0:
            raise MeasurementError(f"{contestant.name}: exit code {done.returncode}\n{done.stderr[-4000:]}")
        measured: dict[str, Any] = json.loads(response.read_text("utf-8"))
    if measured["cpu_s"] <= 0 or measured["report"]["documents"] <= 0:
        raise MeasurementError(
            f"{contestant.name}: {measured['cpu_s']} CPU s is no measurement; use more documents"
        )
    return measured


def measure(
    contestants: Sequence[Contestant], params: dict[str, Any], *, runs: int, timeout_s: float
) -> list[Measurement]:
    """Run each contestant `runs` times, in turn, with the same parameters; return their medians."""
    measured: list[list[dict[str, Any]]] = [[] for _ in contestants]
    for _ in range(runs):
        for contestant, own_runs in zip(contestants, measured, strict=True):
            own_runs.append(run_once(contestant, params, timeout_s=timeout_s))
    return [
        Measurement(
            cpu_s=statistics.median(run["cpu_s"] for run in own_runs),
            wall_s=statistics.median(run["wall_s"] for run in own_runs),
            documents=own_runs[-1]["report"]["documents"],
            runs=runs,
            peak_rss_mb=statistics.median(run["peak_rss_mb"] for run in own_runs),
            report=own_runs[-1]["report"],
        )
        for own_runs in measured
    ]


def throughput(bench: str, subject: str, peer: str, ours: Measurement, theirs: Measurement) -> Result:
    """Compare documents per CPU second. Raises MeasurementError when they did different documents."""
    if ours.documents != theirs.documents:
        raise MeasurementError(
            f"{bench}/{subject}: ours did {ours.documents} documents, {peer} {theirs.documents}"
        )
    mine, other = ours.documents_per_cpu_second, theirs.documents_per_cpu_second
    return Result(
        bench, subject, peer, DOCUMENTS_PER_CPU_SECOND, "documents/s", mine, other, mine / other, ours.runs
    )


def share(bench: str, subject: str, peer: str, metric: str, ours: Measurement, theirs: Measurement) -> Result:
    """Compare a figure in (0, 1] of both reports that is better when larger (recall, precision)."""
    mine, other = float(ours.report[metric]), float(theirs.report[metric])
    if other <= 0:
        raise MeasurementError(
            f"{bench}/{subject}: {peer} reports a {metric} of {other}: nothing to compare with"
        )
    return Result(bench, subject, peer, metric, "share", mine, other, mine / other, ours.runs)


def rate(bench: str, subject: str, peer: str, things: str, ours: Measurement, theirs: Measurement) -> Result:
    """Compare how many of the `things` that both reports count are done per CPU second."""
    mine, other = (float(measured.report[things]) / measured.cpu_s for measured in (ours, theirs))
    return Result(
        bench, subject, peer, f"{things}_per_cpu_second", f"{things}/s", mine, other, mine / other, ours.runs
    )


def memory(bench: str, subject: str, peer: str, ours: Measurement, theirs: Measurement) -> Result:
    """Compare the most memory that both had, documents and libraries included."""
    mine, other = ours.peak_rss_mb, theirs.peak_rss_mb
    return Result(bench, subject, peer, "peak_rss", "MB", mine, other, other / mine, ours.runs)


def write_results(results: Sequence[Result], path: Path) -> None:
    """Write the rows as a JSON list; the rows that other benches have in the file at `path` stay."""
    benches = {row.bench for row in results}
    stored = json.loads(path.read_text("utf-8")) if path.exists() else []
    rows = [row for row in stored if row["bench"] not in benches] + [asdict(row) for row in results]
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def table(results: Sequence[Result]) -> str:
    """Return the rows as a text table, in their order."""
    head = ("bench", "subject", "peer", "metric", "ours", "theirs", "ratio", "runs")
    body = [
        (
            row.bench,
            row.subject,
            row.peer,
            row.metric,
            _figure(row.ours),
            _figure(row.theirs),
            f"{row.ratio:.2f}",
            str(row.runs),
        )
        for row in results
    ]
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if column >= 4 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *body)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"

"""The benchmark harness: real subprocesses of a small real program, and the rows it writes."""

import json
import sys

import pytest

from bench.harness import (
    Contestant,
    MeasurementError,
    Result,
    measure,
    run_once,
    share,
    throughput,
    write_results,
)
from bench.program import LEAST_CPU_S
from bench.run import RESULTS

PROGRAM = """
import os

def prepare(params):
    sum(number * number for number in range(params["preparation"]))
    return params

def run(state):
    return sum(number * number for number in range(state["numbers"]))

def report(state, result):
    threads = os.environ["OMP_NUM_THREADS"]
    return {"documents": state["numbers"], "recall": 0.5, "sum": result, "threads": threads}
"""


@pytest.fixture
def squares(tmp_path):
    (tmp_path / "squares.py").write_text(PROGRAM)
    return Contestant("squares", "squares", sys.executable, tmp_path)


def test_short_work_is_repeated_and_its_time_is_that_of_one_pass(squares):
    measured = run_once(squares, {"preparation": 0, "numbers": 1000}, timeout_s=60)
    assert measured["passes"] > 1
    assert measured["cpu_s"] * measured["passes"] >= LEAST_CPU_S


def test_a_run_sees_one_thread_and_its_parameters(squares):
    report = run_once(squares, {"preparation": 0, "numbers": 1000}, timeout_s=60)["report"]
    assert report == {"documents": 1000, "recall": 0.5, "sum": 332_833_500, "threads": "1"}


def test_a_failing_program_is_an_error_that_quotes_it(squares):
    with pytest.raises(MeasurementError, match="KeyError: 'numbers'"):
        run_once(squares, {"preparation": 0}, timeout_s=60)


def test_a_program_that_takes_too_long_is_an_error(squares):
    with pytest.raises(MeasurementError, match="not done after 1 s"):
        run_once(squares, {"preparation": 10**10, "numbers": 1}, timeout_s=1)


def test_different_documents_are_not_compared(squares):
    few, many = (
        measure([squares], {"preparation": 0, "numbers": numbers}, runs=1, timeout_s=60)[0]
        for numbers in (1000, 2000)
    )
    with pytest.raises(MeasurementError, match="1000 documents, squares 2000"):
        throughput("sums", "squares", "squares", few, many)


def test_rows_have_the_fields_that_readers_expect(squares, tmp_path):
    ours, theirs = measure([squares, squares], {"preparation": 0, "numbers": 1000}, runs=2, timeout_s=60)
    rows = [
        throughput("sums", "squares", "itself", ours, theirs),
        share("sums", "squares", "itself", "recall", ours, theirs),
    ]
    path = tmp_path / "results.json"
    write_results(rows, path)
    written = json.loads(path.read_text())
    names = ["bench", "subject", "peer", "metric", "unit", "ours", "theirs", "ratio", "runs"]
    assert [list(row) for row in written] == [names, names]
    assert written[0]["ratio"] == pytest.approx(written[0]["ours"] / written[0]["theirs"])
    assert written[1] == Result("sums", "squares", "itself", "recall", "share", 0.5, 0.5, 1.0, 2).__dict__


def test_a_bench_leaves_the_rows_of_others_in_the_file(tmp_path):
    def row(bench, ours):
        return Result(bench, "squares", "itself", "recall", "share", ours, 0.5, 2 * ours, 1)

    path = tmp_path / "results.json"
    write_results([row("first", 0.5), row("second", 0.5)], path)
    write_results([row("first", 0.25)], path)
    assert {(stored["bench"], stored["ours"]) for stored in json.loads(path.read_text())} == {
        ("first", 0.25),
        ("second", 0.5),
    }


def test_results_go_beside_the_benchmarks():
    assert RESULTS.parts[-2:] == ("bench", "results.json")

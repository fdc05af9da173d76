"""Run the benchmarks: print the table, write `bench/results.json`.

    python -m bench.run [--only NAME ...] [--quick] [--peers-python PATH]

Documents come from `$PHOENIX_HOME` (default `.phoenix`), see `bench/corpus.py`; files made on the way go to
`build/bench`.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from bench import benches, corpus, dedup
from bench.benches import Setting
from bench.harness import ROOT, MeasurementError, Result, table, write_results

RESULTS = ROOT / "bench" / "results.json"
FOLDER = ROOT / "build" / "bench"
BENCHES = {**benches.BENCHES, **dedup.BENCHES}
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


def main() -> int:
    """Run the chosen benches; return the exit code."""
    options = _options()
    if not options.peers_python.exists():
        print(
            f"{options.peers_python}: no peers' environment; make it with `make bench-env`", file=sys.stderr
        )
        return 2
    home = Path(os.environ.get("PHOENIX_HOME", ".phoenix")).resolve()
    built = corpus.build(home, FOLDER, per_language=300 if options.quick else 3000)
    print(f"documents: {built.counts}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} before")
    setting = Setting(
        documents=built.documents,
        reference=built.reference,
        home=home,
        languages=tuple(lang for lang, count in built.counts.items() if count >= corpus.MIN_DOCUMENTS),
        folder=FOLDER,
        peers_python=options.peers_python,
        runs=1 if options.quick else 3,
        timeout_s=300.0,
    )
    results: list[Result] = []
    remarks: list[str] = []
    for name in options.only or BENCHES:
        start = time.monotonic()
        outcome = BENCHES[name](setting)
        results += outcome.results
        remarks += outcome.remarks
        write_results(results, RESULTS)
        print(f"{name}: {time.monotonic() - start:.0f} s, load {os.getloadavg()[0]:.2f}", flush=True)
    print("", table(results), "", *remarks, sep="\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description="Run the benchmarks.")
    parser.add_argument(
        "--only", action="append", choices=sorted(BENCHES), help="this bench only; may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few documents, one run: whether it works, not how fast"
    )
    parser.add_argument(
        "--peers-python", type=Path, default=PEERS_PYTHON, help="interpreter of the peers' environment"
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (MeasurementError, corpus.CorpusError) as error:
        sys.exit(f"{type(error).__name__}: {error}")

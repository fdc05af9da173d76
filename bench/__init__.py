"""Benchmarks: what our kernels do per CPU second, beside the same work done by other people's tools.

`python -m bench.run` prints a table and writes `bench/results.json`.

- A *program* (`bench/ours/*.py`, `bench/peers/*.py`) has three functions: `prepare` (imports, reading,
  warm-up: not counted), `run` (the work: counted) and `report` (figures about the result: not counted).
- `bench/program.py` runs one program once, in a process of its own, on one core, under the interpreter it
  belongs to.
- `bench/harness.py` starts those processes, ours and theirs in turn, and takes the median of their CPU times.
- Peers live in an environment of their own (`bench/requirements-peers.lock`) and import nothing of ours but
  `bench.program` and `bench.peers`; both environments read the documents from the same Parquet files
  (`bench/corpus.py`).
"""

"""Our near-duplicates of documents that are read delivery by delivery: all of them at once, or a few after the others.

`groups` row groups of the file are decided, DELIVERY of them a delivery. With `added`, only what the delivery of so many
further groups costs is counted: the index of the others is there before.
"""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DELIVERY = 5


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Compile the kernels; with `added`, decide all others first."""
    from bench.ours.near_index import NearIndex

    groups, added = params["groups"], params["added"]
    state = {
        "documents": params["documents"],
        "index": NearIndex.of(params["group"]),
        "folder": tempfile.TemporaryDirectory(),
        "numbers": itertools.count(),
        "deliveries": [],
        "files": None,
        "groups": range(groups),
    }
    _after(state, range(1), range(1, 2))
    return _after(state, range(groups), range(groups, groups + added)) if added else state


def run(state: dict[str, Any]) -> Any:
    """Sign and decide the documents of the groups; return all deliveries, the index and its files."""
    folder = Path(state["folder"].name, str(next(state["numbers"])))
    new = [state["index"].sign([shard], folder / "signatures", name) for name, shard in _deliveries(state)]
    deliveries = [*state["deliveries"], *new]
    return deliveries, *state["index"].decide(deliveries, folder, state["files"])


def report(state: dict[str, Any], result: Any) -> dict[str, Any]:
    """Return how many documents were decided now, and how many of all stand behind another one."""
    _, stored, _ = result
    size, duplicates = stored.index.size, stored.index.duplicates
    state["folder"].cleanup()
    return {"documents": size, "duplicates": duplicates}


def _after(state: dict[str, Any], groups: range, added: range) -> dict[str, Any]:
    """Decide `groups`; return what it takes to add others to them, and add them once."""
    deliveries, _, files = run({**state, "groups": groups})
    after = {**state, "deliveries": deliveries, "files": files, "groups": added}
    run(after)
    return after


def _deliveries(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    import polars as pl
    import pyarrow.parquet as pq

    file, groups = pq.ParquetFile(state["documents"]), state["groups"]
    for start in range(0, len(groups), DELIVERY):
        part = list(groups[start : start + DELIVERY])
        rows = pl.DataFrame(pl.from_arrow(file.read_row_groups(part, columns=["id", "lang", "text"])))
        names = pl.Series("doc_id", [f"{number:032x}" for number in rows["id"].to_list()])
        yield f"groups-{part[0]:05d}", rows.with_columns(names)

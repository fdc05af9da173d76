"""The proof that an erased text is gone: every file of the home is looked at for its prints.

A print may be found where another document holds the same words in its own right: a twin, a quotation, a licence text. So
the living documents explain what is found of them anywhere; what nobody living explains is a leak, and so is any row of an
erased document that still has a text.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from phoenix_assets.audit.prints import Lookout, PrintConfig
from phoenix_assets.audit.stored_texts import NUMBERS, UnopenedFile, texts_in
from phoenix_assets.errors import LineageError
from resources.erased_files import raw_ids, shards_with
from resources.erasures import all_erased
from resources.lake import Lake
from resources.ledger import LineageLedger

_TEXTS: Final = ("text", "payload", "title", "url", "meta")  # of a row with a doc_id
_SHOWN: Final = 100


@dataclass
class _Findings:
    looked_at: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # kind of place → files
    bytes: int = 0
    own_rows: dict[str, int] = field(
        default_factory=dict
    )  # file → what it has of erased documents with their text
    explained: set[int] = field(default_factory=set)  # prints that living documents have
    living: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # asset → rows with such prints
    elsewhere: dict[str, set[int]] = field(default_factory=dict)  # file → prints in it
    unopened: list[str] = field(default_factory=list)


def prove(lake: Lake, ledger: LineageLedger, erasure: str, config: PrintConfig) -> dict[str, Any]:
    """Return what was found of the texts of an erasure, as plain JSON values. Raises LineageError for an unknown one."""
    everything = [rows.filter(erasure=erasure) for rows in all_erased(lake).values()]
    orders = [rows for rows in everything if rows.height]
    if not orders:
        known = sorted({name for rows in all_erased(lake).values() for name in rows["erasure"]})
        raise LineageError(f"no erasure {erasure!r}; there are: {', '.join(known) or 'none'}")
    found = [_look(lake, ledger, rows, config) for rows in orders]
    return {
        "kind": "erasure",
        "erasure": erasure,
        "passed": not any(one["leaks"] or one["unopened"] for one in found),
        "deliveries": found,
    }


def _look(lake: Lake, ledger: LineageLedger, rows: pl.DataFrame, config: PrintConfig) -> dict[str, Any]:
    """Return what was found of the documents of one delivery: they have their prints with one salt."""
    own = rows.drop_nulls("doc_id")
    wanted = own["prints"].explode(empty_as_null=False).drop_nulls()
    lookout = Lookout(wanted, rows["salt"][0], config)
    findings = _Findings()
    for path in _files(lake.home):
        if path.suffix == ".parquet":
            _rows(lake, path, own["doc_id"], lookout, findings)
    for path in _files(lake.home):
        if path.suffix != ".parquet":
            _file(lake, path, lookout, config, findings)
    _ledger(ledger, lookout, findings)
    _tokens(lake, own["doc_id"], findings)
    leaks = [{"file": place, "rows": count} for place, count in sorted(findings.own_rows.items())]
    leaks += [
        {"file": place, "prints": len(left)}
        for place, those in sorted(findings.elsewhere.items())
        if (left := those - findings.explained)
    ]
    return {
        "source": rows["source"][0],
        "delivery": rows["delivery"][0],
        "reason": rows["reason"][0],
        "at": rows["at"][0],
        "documents": own.height,
        "too_short_to_recognise": int((own["prints"].list.len() == 0).sum()),
        "prints": len(lookout.wanted),
        "files": dict(sorted(findings.looked_at.items())),
        "bytes": findings.bytes,
        "held_by_living_documents": {
            "prints": len(findings.explained), "rows": dict(sorted(findings.living.items()))
        },
        "leaks": leaks[:_SHOWN],
        "unopened": sorted(findings.unopened)[:_SHOWN],
    }  # fmt: skip


def _files(home: Path) -> Iterator[Path]:
    """Yield every file of the home, each once, links followed: a cache may lie elsewhere."""
    seen: set[tuple[int, int]] = set()
    for folder, _, names in os.walk(home, followlinks=True):
        for name in names:
            path = Path(folder) / name
            try:
                status = path.stat()
            except OSError:  # a link to nowhere
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield path


def _rows(lake: Lake, path: Path, erased: pl.Series, lookout: Lookout, findings: _Findings) -> None:
    place = str(path.relative_to(lake.home))
    _count(path, place, findings)
    schema = pl.read_parquet_schema(path)
    owned = "doc_id" in schema
    columns = [name for name, kind in schema.items() if kind in (pl.String, pl.List(pl.String), pl.Binary)]
    scan = pl.scan_parquet(path, hive_partitioning=False).select(columns)
    for start in range(0, int(scan.select(pl.len()).collect().item()) if columns else 0, 16_384):
        batch = scan.slice(start, 16_384).collect()
        if owned:
            is_erased = batch["doc_id"].is_in(erased.implode())
            if held := _with_text(batch.filter(is_erased)):
                findings.own_rows[place] = findings.own_rows.get(place, 0) + held
            batch = batch.filter(~is_erased)
        for name in columns:
            counts, prints = lookout.found(_as_text(batch[name]))
            if not len(prints):
                continue
            if owned:
                findings.explained |= set(prints.tolist())
                findings.living[_asset(place)] += int(np.count_nonzero(counts))
            else:
                findings.elsewhere.setdefault(place, set()).update(prints.tolist())


def _with_text(rows: pl.DataFrame) -> int:
    """Return how many rows have any text."""
    there = [name for name in _TEXTS if name in rows.columns]
    if not there:
        return 0
    held = (pl.col(name).cast(pl.Binary).bin.size() > len("{}") for name in there)
    return rows.filter(pl.any_horizontal(held)).height


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Binary:
        return pl.Series([b"\n".join(column.drop_nulls()).decode("utf-8", "ignore")])
    return column.list.join("\n") if isinstance(column.dtype, pl.List) else column


def _asset(place: str) -> str:
    parts = place.split("/")
    return "/".join(part for part in parts[1:-1] if "=" not in part)


def _file(lake: Lake, path: Path, lookout: Lookout, config: PrintConfig, findings: _Findings) -> None:
    place = str(path.relative_to(lake.home))
    if path.suffix in NUMBERS or path == lake.home / "lineage.duckdb" or _is_shard(place):
        findings.looked_at["numbers"] += 1
        return
    _count(path, place, findings)
    try:
        for text in texts_in(path, config.block_bytes):
            _, prints = lookout.found(pl.Series([text]))
            if len(prints):
                findings.elsewhere.setdefault(place, set()).update(prints.tolist())
    except UnopenedFile as error:
        findings.unopened.append(str(error))


def _is_shard(place: str) -> bool:
    return place.startswith("lake/files/tokens/") and place.endswith(".bin")


def _count(path: Path, place: str, findings: _Findings) -> None:
    findings.looked_at[place.partition("/")[0]] += 1
    findings.bytes += path.stat().st_size


def _ledger(ledger: LineageLedger, lookout: Lookout, findings: _Findings) -> None:
    """Look into the ledger's tables: its file is compressed in a way of its own."""
    with ledger.connect() as connection:
        for (table,) in connection.execute("select table_name from duckdb_tables()").fetchall():
            row = connection.table(table).pl()
            for name, kind in row.schema.items():
                _, prints = lookout.found(row[name]) if kind == pl.String else (None, ())
                if len(prints):
                    findings.elsewhere.setdefault(f"lineage.duckdb {table}", set()).update(map(int, prints))


def _tokens(lake: Lake, erased: pl.Series, findings: _Findings) -> None:
    """Find the token shards that hold an erased document: each of their tokens belongs to a document of the trace index."""
    ids = raw_ids(erased)
    for asset in lake.assets("files/tokens"):
        for shard in shards_with(lake.table_dir(asset), ids):
            findings.own_rows[str(shard.relative_to(lake.home))] = 1

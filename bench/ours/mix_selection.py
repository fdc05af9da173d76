"""Our selection of a mixture from synthetic metadata: amounts settled, then every document decided, batch by batch."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from phoenix_assets.mix.amounts import settle
from phoenix_assets.mix.assign import CANDIDATE
from phoenix_assets.mix.config import load_mixture
from phoenix_assets.mix.plan import COUNTS, counted
from phoenix_assets.mix.select import decide
from resources.candidates import BATCH, in_batches

SOURCES = ("cc", "cc", "cc", "cc", "wiki", "book", "poetry", "code", "qa", "parallel", "manual")
LANGUAGES = ("zh", "en", "ja")
LEVELS = ("low", "medium", "high")


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Write the metadata of `documents` made-up documents as Parquet; read the recipe `mixture`."""
    path = Path(params["folder"]) / f"candidates-{params['documents']}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        _write(unfinished, params["documents"])
        unfinished.replace(path)
    return {"path": path, "recipe": load_mixture(params["mixture"])}


def run(state: dict[str, Any]) -> pl.DataFrame:
    """Return the COUNTS of the selection."""
    recipe = state["recipe"]
    batches = in_batches(state["path"], recipe)
    amounts = settle(batches, recipe)
    counts = [counted(decide(documents, recipe, amounts)) for documents in batches()]
    return pl.concat([COUNTS.to_frame(), *counts]).group_by("component").sum()


def report(state: dict[str, Any], result: pl.DataFrame) -> dict[str, Any]:
    """Return how many documents were decided, and each component's share of the training tokens."""
    shares = result.select("component", pl.col("tokens") / pl.col("tokens").sum()).sort("component")
    rows = pq.ParquetFile(state["path"]).metadata.num_rows
    return {"documents": rows, "shares": dict(shares.filter(pl.col("tokens") > 0).iter_rows())}


def _write(path: Path, documents: int) -> None:
    random = np.random.default_rng(1)
    with pq.ParquetWriter(
        path, CANDIDATE.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    ) as file:
        for start in range(0, documents, BATCH):
            rows = _metadata(random, min(BATCH, documents - start))
            file.write_table(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _metadata(random: np.random.Generator, rows: int) -> pl.DataFrame:
    def drawn(values: tuple[str, ...]) -> pl.Series:
        return pl.Series(values).gather(random.integers(0, len(values), rows))

    offsets = pa.py_buffer(np.arange(rows + 1, dtype=np.int32) * 32)
    doc_ids = pa.StringArray.from_buffers(rows, offsets, pa.py_buffer(random.bytes(16 * rows).hex().encode()))
    chars = random.integers(100, 4000, rows)
    return pl.DataFrame(
        {
            "doc_id": pl.Series(doc_ids),
            "source": drawn(SOURCES),
            "delivery": drawn(tuple(f"delivery-{number:03d}" for number in range(100))),
            "lang": drawn(LANGUAGES),
            "level": drawn(LEVELS),
            "quality": random.random(rows),
            "safety": pl.repeat("", rows, eager=True),
            "chars": chars,
            "bytes": 3 * chars,
        }
    ).select(
        pl.concat_list(pl.format("lang:{}", "lang"), pl.format("quality:{}", "level")).alias(name)
        if name == "tags"
        else name
        for name in CANDIDATE
    )

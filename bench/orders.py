"""Documents without text for the benches of the data order: lengths as of web text, and a trace index of them."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

LENGTHS = (6.4, 1.0)  # of a log-normal distribution: about 1,000 tokens on average
SHARD_DOCUMENTS = 500_000
ORIGINS = 400


def lengths(count: int, seed: int) -> npt.NDArray[np.int32]:
    """Return the tokens of `count` documents."""
    drawn = np.random.default_rng(seed).lognormal(*LENGTHS, size=count)
    return np.minimum(drawn, 1_000_000).astype(np.int32) + 1


def trace_index(folder: Path, documents: int) -> None:
    """Write a trace index of `documents` documents into `folder`, unless it is there; token files are not needed."""
    import polars as pl

    from phoenix_assets.tokens.indexed import token_dtype, write_index
    from phoenix_assets.tokens.trace import ORIGIN, documents_file, origins_file

    done = folder / f"{documents}.done"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    columns = {name: [f"{name}{number}" for number in range(ORIGINS)] for name in ORIGIN.names()[:4]}
    origins = pl.DataFrame(columns | {"copies": [1] * ORIGINS, "copy": [0] * ORIGINS})
    origins.cast(dict(ORIGIN)).write_parquet(origins_file(folder, "train"))
    for shard in range(-(-documents // SHARD_DOCUMENTS)):
        count = min(SHARD_DOCUMENTS, documents - shard * SHARD_DOCUMENTS)
        prefix, rng = folder / f"train-{shard:05d}", np.random.default_rng(shard)
        write_index(prefix.with_suffix(".idx"), lengths(count, shard), token_dtype(32_000))
        rows = np.empty(count, dtype=[("doc_id", np.uint8, (16,)), ("origin", np.uint16)])
        rows["doc_id"] = rng.integers(0, 256, size=(count, 16), dtype=np.uint8)
        rows["origin"] = rng.integers(0, ORIGINS, size=count)
        np.save(documents_file(prefix), rows)
    done.touch()

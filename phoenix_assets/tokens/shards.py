"""Token shards: the documents of one split, tokenised, repeated, shuffled, and cut into indexed datasets.

Two passes. The first tokenises each document once, in whatever order the batches come, into a spool file, by any
number of workers. The second sorts all copies by a hash of document, copy number and seed, and gathers them from the spool into
shards. So the shards' bytes depend on the set of documents, the tokenizer and the configuration, and on
nothing else; memory holds the list of documents, never their tokens. The spool lies beside the shards and is
as large as one copy of each document.
"""

import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from phoenix_assets import draw
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.encoding import number_format
from phoenix_assets.tokens.indexed import IndexedWriter, TokenArray, TokenDType
from phoenix_assets.tokens.spool import SpoolPart, append_parts, write_part
from phoenix_assets.tokens.trace import TRACE, origins_file, with_origins, write_documents

KERNEL_VERSION: Final = "2"

WRITTEN: Final = pl.Schema([*TRACE.items(), ("chars", pl.Int64())])  # of the text; no part of the index

_GATHERED_TOKENS: Final = 1 << 22  # copied from the spool at once


def shard_prefix(out_dir: Path, split: str, shard: int) -> Path:
    """Return where a shard lies, without `.bin` and `.idx`."""
    return out_dir / f"{split}-{shard:05d}"


def write_shards(
    batches: Iterable[pl.DataFrame],
    tokenizer_json: Path | bytes,
    out_dir: Path,
    split: str,
    eod: str,
    config: TokensConfig,
) -> pl.DataFrame:
    """Write the shards of `split` and their trace index into `out_dir`; return a WRITTEN row per document copy.

    Rows are in the order of the shards. Each batch has doc_id, source, delivery, component, lang, text and
    copies (≥ 0; documents with 0 are left out). The token `eod` ends each document. Shards of this split that
    an earlier call left beyond the last one are removed. Raises ConfigError when the tokenizer has no such
    token, ConservationError when a doc_id comes twice.
    """
    with _spool_folder(out_dir, split) as folder:
        parts = (
            write_part(batch, tokenizer_json, eod, config, Path(folder) / f"part-{number}")
            for number, batch in enumerate(batches)
        )
        return gather_shards(parts, number_format(tokenizer_json), out_dir, split, config)


def gather_shards(
    parts: Iterable[SpoolPart], dtype: TokenDType, out_dir: Path, split: str, config: TokensConfig
) -> pl.DataFrame:
    """Write the shards and the trace index of what workers tokenised, in any order, as `write_shards` does.

    The parts are removed. Raises ConservationError when a doc_id comes twice.
    """
    with _spool_folder(out_dir, split) as folder:
        spool = Path(folder) / "spool"
        documents = append_parts(parts, spool)
        trace = _trace(documents, split, config)
        trace = trace.select(
            pl.col(name).cast(kind) for name, kind in [*WRITTEN.items(), ("start", pl.Int64())]
        )
        _write(trace, spool, out_dir, split, dtype)
    _remove_beyond(out_dir, split, trace["shard"].n_unique())
    return trace.select(WRITTEN.names())


def _spool_folder(out_dir: Path, split: str) -> tempfile.TemporaryDirectory[str]:
    out_dir.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=out_dir, prefix=f".{split}-")


def _trace(documents: pl.DataFrame, split: str, config: TokensConfig) -> pl.DataFrame:
    """Return one row per document copy in the shuffled order, with shard, position and offset."""
    copies = documents.with_columns(copy=pl.int_ranges("copies")).explode("copy")
    most = int(documents.select(pl.col("copies").max().fill_null(0)).item())
    seeds = [draw.salted_seed(f"shuffle/{copy}", config.seed) for copy in range(most)]
    own_seed = np.array(seeds, dtype=np.uint64)[copies["copy"].to_numpy()]
    end = pl.col("tokens").cum_sum()
    return (
        copies.with_columns(key=pl.Series(draw.hashes(copies["doc_id"], own_seed)))
        .sort("key", "doc_id", "copy")
        .with_columns(split=pl.lit(split), offset=end - pl.col("tokens"))
        .with_columns(shard=(pl.col("offset") // config.shard_tokens).rle_id())
        .with_columns(position=pl.int_range(pl.len()).over("shard"))
    )


def _write(trace: pl.DataFrame, spool: Path, out_dir: Path, split: str, dtype: TokenDType) -> None:
    tokens = np.memmap(spool, dtype=dtype, mode="r") if trace.height else np.empty(0, dtype=dtype)
    trace, origins = with_origins(trace)
    if trace.height:
        origins.write_parquet(origins_file(out_dir, split), compression="zstd")
    for rows in trace.partition_by("shard", maintain_order=True):
        starts, lengths = rows["start"].to_numpy(), rows["tokens"].to_numpy()
        pieces = np.cumsum(lengths) // _GATHERED_TOKENS
        bounds = [0, *(np.flatnonzero(np.diff(pieces)) + 1).tolist(), len(rows)]
        prefix = shard_prefix(out_dir, split, rows["shard"][0])
        write_documents(prefix, rows["doc_id"], rows["origin"])
        with IndexedWriter(prefix, dtype) as writer:
            for start, stop in pairwise(bounds):
                piece = slice(start, stop)
                writer.add(_gathered(tokens, starts[piece], lengths[piece]), lengths[piece])


def _gathered(
    tokens: TokenArray, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> TokenArray:
    """Return the segments [start, start + length) of `tokens`, end to end."""
    gathered = np.empty(int(lengths.sum()), dtype=tokens.dtype)
    _copy_segments(tokens, starts, lengths, gathered)
    return gathered


@njit(cache=True, nogil=True)
def _copy_segments(
    tokens: TokenArray, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], out: TokenArray
) -> None:
    at = 0
    for document in range(len(starts)):
        start, length = starts[document], lengths[document]
        out[at : at + length] = tokens[start : start + length]
        at += length


def _remove_beyond(out_dir: Path, split: str, shards: int) -> None:
    for path in sorted(out_dir.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].*")):
        if int(path.name.partition(".")[0].rpartition("-")[2]) >= shards:
            path.unlink()
    if not shards:
        origins_file(out_dir, split).unlink(missing_ok=True)

"""Token shards: the documents of one split, tokenised, repeated, shuffled, and cut into indexed datasets.

Two passes. The first tokenises each document once, in whatever order the batches come, into a spool file. The
second sorts all copies by a hash of document, copy number and seed, and gathers them from the spool into
shards. So the shards' bytes depend on the set of documents, the tokenizer and the configuration, and on
nothing else; memory holds the list of documents, never their tokens. The spool lies beside the shards and is
as large as one copy of each document.
"""

import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets import draw
from phoenix_assets.errors import ConfigError, ConservationError
from phoenix_assets.tokens.bpe import encode, load_tokenizer
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.indexed import IndexedWriter, TokenArray, TokenDType, token_dtype

KERNEL_VERSION: Final = "1"

TRACE: Final = pl.Schema(
    {
        "split": pl.String,
        "shard": pl.Int32,
        "position": pl.Int64,  # of the document within its shard
        "doc_id": pl.String,
        "source": pl.String,
        "delivery": pl.String,
        "lang": pl.String,
        "copy": pl.Int32,  # 0 for the first time that the split holds the document
        "offset": pl.Int64,  # of the first token within the split, shards end to end
        "tokens": pl.Int64,  # with the end of document
        "chars": pl.Int64,  # of the text
    }
)

_SPOOLED: Final = pl.Schema(
    {name: TRACE[name] for name in ("doc_id", "source", "delivery", "lang", "tokens", "chars")}
    | {"copies": pl.Int32(), "start": pl.Int64()}
)
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
    """Write the shards of `split` into `out_dir` and return the trace index.

    That is a TRACE row per document copy, in the order of the shards. Each batch has doc_id, source,
    delivery, lang, text and copies (≥ 0; documents with 0 are left out). The token `eod` ends each
    document. Shards of this split that an earlier call left beyond the last one are removed. Raises
    ConfigError when the tokenizer has no such token, ConservationError when a doc_id comes twice.
    """
    tokenizer = load_tokenizer(tokenizer_json)
    eod_id = tokenizer.token_to_id(eod)
    if eod_id is None:
        raise ConfigError(
            f"the tokenizer has no token {eod!r};"
            " set eod in config/tokenizer.yaml to one of its special tokens"
        )
    dtype = token_dtype(tokenizer.get_vocab_size())
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=f".{split}-") as folder:
        spool = Path(folder) / "spool"
        with spool.open("wb") as file:
            documents = _spooled(batches, tokenizer_json, file, eod_id, dtype, config)
        trace = _trace(documents, split, config)
        _write(trace, spool, out_dir, split, dtype)
    _remove_beyond(out_dir, split, trace["shard"].n_unique())
    return trace.select(pl.col(name).cast(kind) for name, kind in TRACE.items())


def _spooled(
    batches: Iterable[pl.DataFrame],
    tokenizer_json: Path | bytes,
    file: BinaryIO,
    eod_id: int,
    dtype: TokenDType,
    config: TokensConfig,
) -> pl.DataFrame:
    """Tokenise all batches into the spool; return the documents with where each lies in it."""
    spooled = [pl.DataFrame(schema=_SPOOLED)]
    written = 0
    for batch in batches:
        wanted = batch.filter(pl.col("copies") > 0)
        encoded = encode(wanted["text"], tokenizer_json, config)
        lengths = encoded.lengths.astype(np.int64) + 1
        ended = np.insert(encoded.ids, np.cumsum(encoded.lengths, dtype=np.int64), dtype.type(eod_id))
        ended.tofile(file)
        starts = written + np.cumsum(lengths) - lengths
        written += int(lengths.sum())
        columns = wanted.with_columns(
            start=pl.Series(starts, dtype=pl.Int64),
            tokens=pl.Series(lengths, dtype=pl.Int64),
            chars=pl.col("text").fill_null("").str.len_chars(),
        )
        spooled.append(columns.select(pl.col(name).cast(kind) for name, kind in _SPOOLED.items()))
    documents = pl.concat(spooled)
    repeated = documents["doc_id"].filter(documents["doc_id"].is_duplicated())
    if len(repeated):
        raise ConservationError(
            f"doc_id {repeated[0]!r} comes in more than one row ({len(repeated)} such rows); repeats are"
            " written as `copies`, so look for a selection that was joined to the texts twice"
        )
    return documents


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
    for rows in trace.partition_by("shard", maintain_order=True):
        starts, lengths = rows["start"].to_numpy(), rows["tokens"].to_numpy()
        pieces = np.cumsum(lengths) // _GATHERED_TOKENS
        bounds = [0, *(np.flatnonzero(np.diff(pieces)) + 1).tolist(), len(rows)]
        with IndexedWriter(shard_prefix(out_dir, split, rows["shard"][0]), dtype) as writer:
            for start, stop in pairwise(bounds):
                piece = slice(start, stop)
                writer.add(_gathered(tokens, starts[piece], lengths[piece]), lengths[piece].astype(np.int32))


def _gathered(
    tokens: TokenArray, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> TokenArray:
    """Return the segments [start, start + length) of `tokens`, end to end."""
    shift = starts - (np.cumsum(lengths) - lengths)
    return tokens[np.repeat(shift, lengths) + np.arange(int(lengths.sum()))]


def _remove_beyond(out_dir: Path, split: str, shards: int) -> None:
    for path in sorted(out_dir.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].*")):
        if int(path.stem.rpartition("-")[2]) >= shards:
            path.unlink()

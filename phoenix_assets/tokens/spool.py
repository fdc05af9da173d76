"""Spools: documents tokenised once, in whatever order they come, their ids end to end in one file.

Workers write `SpoolPart`s, beside one another; `append_parts` makes one spool of those of a split.
"""

import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import polars as pl

from phoenix_assets.errors import ConservationError
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.encoding import encode, load_tokenizer
from phoenix_assets.tokens.trace import TRACE
from training_jobs.tokenizer_export import token_id

KERNEL_VERSION: Final = "1"

SPOOLED: Final = pl.Schema(
    {name: TRACE[name] for name in ("doc_id", "source", "delivery", "component", "lang", "tokens")}
    | {"chars": pl.Int64(), "copies": pl.Int32(), "start": pl.Int64()}
)
_READ: Final = ("doc_id", "source", "delivery", "lang", "text")


@dataclass(frozen=True)
class SpoolPart:
    """What one worker tokenised: the ids, and a SPOOLED row per document, `start` counted within the part."""

    tokens: Path
    documents: Path
    count: int  # of tokens


class Readable(Protocol):
    """A shard of documents that a worker reads for itself."""

    def read(self) -> pl.DataFrame:
        """Return doc_id, source, delivery, lang, text, and whatever else."""
        ...


@dataclass(frozen=True)
class SpoolWork:
    """Tokenises shards, any number of workers beside each other: called with a shard, and who of it is wanted."""

    tokenizer_json: Path
    eod: str
    config: TokensConfig
    folder: Path  # where the parts go

    def __call__(self, item: tuple[Readable, Path]) -> dict[str, SpoolPart]:
        """Return a part for each split. The Parquet file names the wanted: doc_id, component, copies, split."""
        shard, selection = item
        wanted = pl.read_parquet(selection, columns=["doc_id", "component", "copies", "split"])
        documents = shard.read().select(_READ).join(wanted, on="doc_id", maintain_order="left")
        return {
            str(split): write_part(
                rows, self.tokenizer_json, self.eod, self.config, self.folder / uuid.uuid4().hex
            )
            for (split,), rows in documents.partition_by("split", as_dict=True).items()
        }


def write_part(
    documents: pl.DataFrame, tokenizer_json: Path | bytes, eod: str, config: TokensConfig, part: Path
) -> SpoolPart:
    """Tokenise documents (doc_id, source, delivery, component, lang, text, copies) into `part.bin` and `part.parquet`.

    Those with 0 copies are left out. The token `eod` ends each document. Raises ConfigError when the tokenizer has no
    such token.
    """
    wanted = documents.filter(pl.col("copies") > 0)
    eod_id = token_id(load_tokenizer(tokenizer_json), eod)
    encoded = encode(wanted["text"], tokenizer_json, config)
    lengths = encoded.lengths.astype(np.int64) + 1
    ended = np.insert(encoded.ids, np.cumsum(encoded.lengths, dtype=np.int64), encoded.ids.dtype.type(eod_id))
    rows = wanted.with_columns(
        start=pl.Series(np.cumsum(lengths) - lengths, dtype=pl.Int64),
        tokens=pl.Series(lengths, dtype=pl.Int64),
        chars=pl.col("text").fill_null("").str.len_chars(),
    ).select(pl.col(name).cast(kind) for name, kind in SPOOLED.items())
    written = SpoolPart(part.with_suffix(".bin"), part.with_suffix(".parquet"), len(ended))
    ended.tofile(written.tokens)
    rows.write_parquet(written.documents, compression="zstd")
    return written


def append_parts(parts: Iterable[SpoolPart], spool: Path) -> pl.DataFrame:
    """Move all parts into one spool; return the SPOOLED rows, `start` counted within it.

    Raises ConservationError when a doc_id comes twice.
    """
    frames = [pl.DataFrame(schema=SPOOLED)]
    before = 0
    with spool.open("wb") as whole:
        for part in parts:
            with part.tokens.open("rb") as tokens:
                shutil.copyfileobj(tokens, whole, length=1 << 22)
            frames.append(pl.read_parquet(part.documents).with_columns(pl.col("start") + before))
            before += part.count
            part.tokens.unlink()
            part.documents.unlink()
    documents = pl.concat(frames)
    repeated = documents["doc_id"].filter(documents["doc_id"].is_duplicated())
    if len(repeated):
        raise ConservationError(
            f"doc_id {repeated[0]!r} comes in more than one row ({len(repeated)} such rows); repeats are"
            " written as `copies`, so look for a selection that was joined to the texts twice"
        )
    return documents

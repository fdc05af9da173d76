"""The tokenizer: byte-level BPE by Hugging Face `tokenizers`, trained and applied reproducibly.

Nothing normalises the text, so decoding gives every character back. Digits stand alone. A special token that
is written out in a document is encoded as the plain characters it is: only the pipeline itself ends
documents.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from phoenix_assets import draw
from phoenix_assets.tokens.config import TokenizerConfig, TokensConfig
from phoenix_assets.tokens.indexed import TokenArray, token_dtype

KERNEL_VERSION: Final = "1"


@dataclass(frozen=True)
class TokenBatch:
    """Token ids of several texts, end to end, and how many each text has."""

    ids: TokenArray  # uint16 or int32, by vocabulary size
    lengths: npt.NDArray[np.int32]


def sample_training_texts(batches: Iterable[pl.DataFrame], config: TokenizerConfig) -> pl.Series:
    """Return the texts to train on: of each language, documents in hash order up to `bytes_per_language`.

    Each batch has doc_id, lang and text. The choice depends neither on the order of documents nor on the
    batches, and memory holds no more than it and one batch.
    """
    size = pl.col("text").str.len_bytes().cast(pl.Int64)
    taken = size.cum_sum().over("lang", order_by=["u", "doc_id"])
    chosen = pl.DataFrame(schema={"doc_id": pl.String, "lang": pl.String, "text": pl.String, "u": pl.Float64})
    for batch in batches:
        drawn = draw.uniform(batch["doc_id"], salt="tokenizer", seed=config.seed)
        candidates = batch.select("doc_id", "lang", "text").with_columns(u=drawn)
        chosen = pl.concat([chosen, candidates]).filter(taken <= config.bytes_per_language)
    return chosen.sort("u", "doc_id")["text"]


def train_bpe(texts: Iterable[str], config: TokenizerConfig) -> bytes:
    """Return the `tokenizer.json` trained on `texts`.

    The same texts give the same bytes, on any number of threads.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(config.split_pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(config.special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return str(tokenizer.to_str(pretty=False)).encode("utf-8")


def load_tokenizer(tokenizer_json: Path | bytes) -> Tokenizer:
    """Return the tokenizer of a `tokenizer.json` (path or content), loaded once per process and content.

    It encodes special tokens inside texts as plain characters.
    """
    return _loaded(tokenizer_json if isinstance(tokenizer_json, bytes) else tokenizer_json.read_bytes())


def encode(texts: pl.Series, tokenizer_json: Path | bytes, config: TokensConfig) -> TokenBatch:
    """Return the token ids of each text, in order and without any special token. A null text has none.

    Texts are encoded in parallel by the library's threads, in batches bounded by the config.
    """
    tokenizer = load_tokenizer(tokenizer_json)
    dtype = token_dtype(tokenizer.get_vocab_size())
    ids: list[TokenArray] = [np.empty(0, dtype=dtype)]
    lengths: list[int] = []
    for batch in _batches(texts.fill_null(""), config):
        for encoding in tokenizer.encode_batch_fast(batch.to_list(), add_special_tokens=False):
            ids.append(np.array(encoding.ids, dtype=dtype))
            lengths.append(len(ids[-1]))
    return TokenBatch(np.concatenate(ids), np.array(lengths, dtype=np.int32))


@lru_cache(maxsize=4)
def _loaded(content: bytes) -> Tokenizer:
    tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def _batches(texts: pl.Series, config: TokensConfig) -> Iterator[pl.Series]:
    """Yield slices of `texts` within both bounds; a text that is longer than the byte bound comes alone."""
    ends = np.cumsum(texts.str.len_bytes().to_numpy(), dtype=np.int64)
    start, before = 0, 0
    while start < len(texts):
        fitting = int(np.searchsorted(ends, before + config.batch_bytes, side="right"))
        stop = max(start + 1, min(fitting, start + config.batch_documents))
        yield texts[start:stop]
        start, before = stop, int(ends[stop - 1])

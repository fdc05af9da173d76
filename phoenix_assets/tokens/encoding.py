"""Texts to token ids by a `tokenizer.json`: by `fastokens` where it can, else by the reference, `tokenizers`.

Both give the same ids: the check of `models/tokenizer` proves it, and `EncoderKind` says what to do where it
fails. A special token that is written out in a document is encoded as the plain characters it is: only the
pipeline itself ends documents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import fastokens
import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer

from phoenix_assets.errors import ConfigError
from phoenix_assets.tokens.config import EncoderKind, TokensConfig
from phoenix_assets.tokens.indexed import TokenArray, TokenDType, token_dtype
from training_jobs.tokenizer_export import vocabulary_size

KERNEL_VERSION: Final = "1"

Flat = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]  # ids end to end, and how many each text has


@dataclass(frozen=True)
class TokenBatch:
    """Token ids of several texts, end to end, and how many each text has."""

    ids: TokenArray  # uint16 or int32, by vocabulary size
    lengths: npt.NDArray[np.int32]


class Encoder(Protocol):
    """Encodes texts without any special token."""

    def __call__(self, texts: list[str]) -> Flat:
        """Return the ids of each text, in order."""
        ...


@dataclass(frozen=True)
class ReferenceEncoder:
    """The `tokenizers` library, which defines what a `tokenizer.json` means."""

    tokenizer: Tokenizer

    def __call__(self, texts: list[str]) -> Flat:
        """Return the ids of each text, in order."""
        parts = [
            np.array(encoding.ids, dtype=np.uint32)
            for encoding in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ]
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        return np.concatenate([np.empty(0, dtype=np.uint32), *parts]), lengths


@dataclass(frozen=True)
class FastEncoder:
    """The `fastokens` library: byte-pair encodings only, many times faster."""

    tokenizer: Any

    def __call__(self, texts: list[str]) -> Flat:
        """Return the ids of each text, in order."""
        ids, offsets = self.tokenizer.encode_batch_flat(
            texts, add_special_tokens=False, split_special_tokens=True
        )
        bounds = np.frombuffer(offsets, "<u8").astype(np.int64)
        return np.frombuffer(ids, "<u4"), bounds[1:] - bounds[:-1]


def load_tokenizer(tokenizer_json: Path | bytes) -> Tokenizer:
    """Return the reference tokenizer of a `tokenizer.json` (path or content), loaded once per process and content.

    It encodes special tokens inside texts as plain characters, and neither cuts nor pads them.
    Raises ConfigError for a file that is no tokenizer.
    """
    return _reference(_content(tokenizer_json))


def load_encoder(tokenizer_json: Path | bytes, kind: EncoderKind = EncoderKind.FAST) -> Encoder:
    """Return the encoder of that kind, or the reference where `fastokens` does not know the tokenizer's model."""
    return _encoder(_content(tokenizer_json), kind)


def number_format(tokenizer_json: Path | bytes) -> TokenDType:
    """Return the number format of a tokenizer's ids."""
    return _dtype(_content(tokenizer_json))


def encode(texts: pl.Series, tokenizer_json: Path | bytes, config: TokensConfig) -> TokenBatch:
    """Return the token ids of each text, in order and without any special token. A null text has none.

    Texts are encoded in parallel by the library's threads, in batches bounded by the config.
    """
    content = _content(tokenizer_json)
    encoder, dtype = load_encoder(content, config.encoder), _dtype(content)
    ids: list[TokenArray] = [np.empty(0, dtype=dtype)]
    lengths = [np.empty(0, dtype=np.int64)]
    for batch in _batches(texts.fill_null(""), config):
        encoded, counts = encoder(batch.to_list())
        ids.append(encoded.astype(dtype))
        lengths.append(counts)
    return TokenBatch(np.concatenate(ids), np.concatenate(lengths).astype(np.int32))


def forget() -> None:
    """Drop the loaded encoders, and with them the pieces of text that they remember."""
    _encoder.cache_clear()


def _content(tokenizer_json: Path | bytes) -> bytes:
    return tokenizer_json if isinstance(tokenizer_json, bytes) else tokenizer_json.read_bytes()


@lru_cache(maxsize=4)
def _reference(content: bytes) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # the library raises bare Exception
        raise ConfigError(f"the tokenizer cannot be read ({error}); give a whole tokenizer.json") from error
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@lru_cache(maxsize=4)
def _dtype(content: bytes) -> TokenDType:
    return token_dtype(vocabulary_size(_reference(content)))


@lru_cache(maxsize=4)
def _encoder(content: bytes, kind: EncoderKind) -> Encoder:
    reference = ReferenceEncoder(_reference(content))
    if kind is EncoderKind.REFERENCE:
        return reference
    try:
        tokenizer = fastokens.Tokenizer.from_json_str(reference.tokenizer.to_str())
    except ValueError:  # a model, normaliser or pre-tokenizer that it does not know
        return reference
    return FastEncoder(tokenizer)


def _batches(texts: pl.Series, config: TokensConfig) -> Iterator[pl.Series]:
    """Yield slices of `texts` within both bounds; a text that is longer than the byte bound comes alone."""
    ends = np.cumsum(texts.str.len_bytes().to_numpy(), dtype=np.int64)
    start, before = 0, 0
    while start < len(texts):
        fitting = int(np.searchsorted(ends, before + config.batch_bytes, side="right"))
        stop = max(start + 1, min(fitting, start + config.batch_documents))
        yield texts[start:stop]
        start, before = stop, int(ends[stop - 1])

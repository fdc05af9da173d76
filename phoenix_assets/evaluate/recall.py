"""Recall and loss of a checkpoint on held-out documents, teacher-forced.

The model:
- Each document is scored on its own: the end-of-document token stands before it, as in training, and every
  token of its text is predicted once. The end of the document itself is not predicted.
- A document longer than the context is cut into chunks; a chunk's first token sees the one token before it.
- Recall at k is the share of tokens whose rank among the model's scores is below k; of equal scores the
  smaller id ranks first. It depends on the tokenizer; bits per character and per byte do not.
- Chunks of similar length share a forward pass, so the numbers depend on the batch size by rounding alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from phoenix_assets.errors import ConfigError
from phoenix_assets.evaluate.config import Device, EvaluationConfig

KERNEL_VERSION: Final = "1"

ALL: Final = "all"
SCORE: Final = pl.Schema(
    {
        "doc_id": pl.String,
        "lang": pl.String,
        "source": pl.String,
        "tokens": pl.Int64,
        "chars": pl.Int64,
        "bytes": pl.Int64,
        "nats": pl.Float64,  # summed over tokens
    }
)
EVALUATION: Final = pl.Schema(
    {
        "lang": pl.String,  # ALL: every language
        "source": pl.String,  # ALL: every source
        "documents": pl.Int64,
        "tokens": pl.Int64,
        "chars": pl.Int64,
        "bytes": pl.Int64,  # UTF-8
        "loss": pl.Float64,  # nats a token
        "perplexity": pl.Float64,  # of a token
        "bits_per_char": pl.Float64,
        "bits_per_byte": pl.Float64,
    }
)


@dataclass(frozen=True)
class Chunk:
    """Tokens of one document that are scored together; the first is seen and not predicted."""

    document: int
    ids: npt.NDArray[np.int64]


def evaluate(
    model_dir: Path, tokenizer_json: Path, documents: pl.DataFrame, config: EvaluationConfig
) -> pl.DataFrame:
    """Return EVALUATION rows with a column `recall_top<k>` for each k: all, by language, by source.

    `model_dir` is a Hugging Face causal language model (config.json and safetensors), `documents` has doc_id,
    lang, source and text. Raises ConfigError when model, tokenizer and configuration do not fit each other.
    """
    return summarise(score_documents(model_dir, tokenizer_json, documents, config), config)


def score_documents(
    model_dir: Path, tokenizer_json: Path, documents: pl.DataFrame, config: EvaluationConfig
) -> pl.DataFrame:
    """Return a SCORE row for each chosen document, in doc_id order, with a column `hits_top<k>` for each k.

    The configuration chooses languages and how many documents of each; a text without tokens is left out.
    """
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    tokenizer.encode_special_tokens = (
        True  # one that is written out in a text is plain characters, as in training
    )
    model = load_model(model_dir, config)
    eod = _check(model, model_dir, tokenizer, config)
    chosen = choose(documents, config)
    scored = [
        _score(model, tokenizer, eod, part, config)
        for part in chosen.iter_slices(config.batch_documents)
        if part.height
    ]
    hits = [pl.Series(f"hits_top{k}", [], pl.Int64) for k in config.top_k]
    return pl.concat([pl.DataFrame(schema=SCORE).with_columns(hits), *scored])


def summarise(scores: pl.DataFrame, config: EvaluationConfig) -> pl.DataFrame:
    """Return EVALUATION rows for rows of `score_documents`: all, by language, by language and source."""
    by_source = scores.sort("doc_id")
    by_language = by_source.with_columns(source=pl.lit(ALL))
    parts = [by_language.with_columns(lang=pl.lit(ALL)), by_language, by_source]
    return pl.concat([_ratios(part, config) for part in parts])


def choose(documents: pl.DataFrame, config: EvaluationConfig) -> pl.DataFrame:
    """Return the documents to score: the opening of at most `max_documents` of each language, in doc_id order."""
    known = documents.filter(pl.col("lang").is_in(list(config.languages)) & (pl.col("text") != ""))
    opening = pl.col("text").str.head(config.document_characters)
    ordered = known.select("doc_id", "lang", "source", text=opening).sort("doc_id")
    return ordered.filter(pl.int_range(pl.len()).over("lang") < config.max_documents)


def load_model(model_dir: Path, config: EvaluationConfig) -> Any:
    """Return a directory's model, ready for inference on the configured device. Reads safetensors only."""
    device = config.device.value
    if config.device is Device.AUTO:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    transformers_logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        model_dir, dtype=getattr(torch, config.precision.value), local_files_only=True, use_safetensors=True
    )
    return model.to(device).eval()


def chunks(tokens: list[npt.NDArray[np.int64]], eod: int, context: int) -> list[Chunk]:
    """Return the chunks of tokenised documents, longest first."""
    found = []
    for document, ids in enumerate(tokens):
        seen = np.concatenate([[eod], ids])
        found += [Chunk(document, seen[start : start + context + 1]) for start in range(0, len(ids), context)]
    return sorted(found, key=lambda chunk: -len(chunk.ids))


def batches(ordered: list[Chunk], batch_tokens: int) -> Iterator[list[Chunk]]:
    """Yield chunks, longest first, in batches of at most `batch_tokens` predictions with padding."""
    start = 0
    while start < len(ordered):
        rows = max(1, batch_tokens // (len(ordered[start].ids) - 1))
        yield ordered[start : start + rows]
        start += rows


def _check(model: Any, model_dir: Path, tokenizer: Tokenizer, config: EvaluationConfig) -> int:
    """Return the id of the end-of-document token."""
    eod = tokenizer.token_to_id(config.eod)
    if eod is None:
        raise ConfigError(
            f"the tokenizer has no token {config.eod!r}: set eod in config/evaluation.yaml to its own"
        )
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        raise ConfigError(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the model in {model_dir} was built for "
            f"{model.config.vocab_size}: evaluate it with the tokenizer that it was trained with"
        )
    longest = getattr(model.config, "max_position_embeddings", config.context)
    if longest < config.context:
        raise ConfigError(
            f"the model in {model_dir} has a context of {longest} tokens, "
            f"evaluation asks for {config.context}: lower context in config/evaluation.yaml"
        )
    return int(eod)


def _score(
    model: Any, tokenizer: Tokenizer, eod: int, documents: pl.DataFrame, config: EvaluationConfig
) -> pl.DataFrame:
    encodings = tokenizer.encode_batch_fast(documents["text"].to_list(), add_special_tokens=False)
    tokens = [np.array(encoding.ids, np.int64) for encoding in encodings]
    nats = np.zeros(len(tokens))
    hits = np.zeros((len(config.top_k), len(tokens)), np.int64)
    for batch in batches(chunks(tokens, eod, config.context), config.batch_tokens):
        for chunk, (chunk_nats, chunk_hits) in zip(batch, _forward(model, batch, config.top_k), strict=True):
            nats[chunk.document] += chunk_nats
            hits[:, chunk.document] += chunk_hits
    return documents.select(
        "doc_id",
        "lang",
        "source",
        tokens=pl.Series([len(ids) for ids in tokens], dtype=pl.Int64),
        chars=pl.col("text").str.len_chars().cast(pl.Int64),
        bytes=pl.col("text").str.len_bytes().cast(pl.Int64),
        nats=pl.Series(nats),
        **{f"hits_top{k}": pl.Series(hits[row]) for row, k in enumerate(config.top_k)},
    ).filter(pl.col("tokens") > 0)


@torch.inference_mode()
def _forward(
    model: Any, batch: list[Chunk], top_k: tuple[int, ...]
) -> Iterator[tuple[float, npt.NDArray[np.int64]]]:
    """Yield (nats, hits for each k) of each chunk.

    Padding stands at the end, where a causal model does not look.
    """
    width = len(batch[0].ids) - 1
    inputs = np.zeros((len(batch), width), np.int64)
    for row, chunk in enumerate(batch):
        inputs[row, : len(chunk.ids) - 1] = chunk.ids[:-1]
    logits = model(input_ids=torch.from_numpy(inputs).to(model.device), use_cache=False).logits
    for row, chunk in enumerate(batch):
        targets = torch.from_numpy(chunk.ids[1:]).to(model.device)
        scores = logits[row, : len(targets)].float()
        wanted = scores.gather(1, targets[:, None])
        nats = (scores.logsumexp(1) - wanted[:, 0]).double().sum()
        earlier = torch.arange(scores.shape[1], device=scores.device) < targets[:, None]
        rank = ((scores > wanted) | ((scores == wanted) & earlier)).sum(1)
        yield float(nats), np.array([int((rank < k).sum()) for k in top_k], np.int64)


def _ratios(scores: pl.DataFrame, config: EvaluationConfig) -> pl.DataFrame:
    bits = pl.col("nats") / np.log(2.0)
    return (
        scores.group_by("lang", "source", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("documents"), pl.col("^(tokens|chars|bytes|nats|hits_top.*)$").sum()
        )
        .sort("lang", "source")
        .with_columns(
            loss=pl.col("nats") / pl.col("tokens"),
            bits_per_char=bits / pl.col("chars"),
            bits_per_byte=bits / pl.col("bytes"),
            **{f"recall_top{k}": pl.col(f"hits_top{k}") / pl.col("tokens") for k in config.top_k},
        )
        .with_columns(perplexity=pl.col("loss").exp())
        .select(*EVALUATION.names(), *(f"recall_top{k}" for k in config.top_k))
    )

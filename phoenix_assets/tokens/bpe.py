"""The tokenizer: byte-level BPE by Hugging Face `tokenizers`, trained reproducibly.

Nothing normalises the text, so decoding gives every character back. Digits stand alone.
"""

from collections.abc import Iterable
from typing import Final

import polars as pl
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from phoenix_assets import draw
from phoenix_assets.tokens.config import TokenizerConfig

KERNEL_VERSION: Final = "1"


def sample_training_texts(batches: Iterable[pl.DataFrame], bytes_per_language: int, seed: int) -> pl.Series:
    """Return the texts to train on: of each language, documents in hash order up to `bytes_per_language`.

    Each batch has doc_id, lang and text. The choice depends neither on the order of documents nor on the
    batches, and memory holds no more than it and one batch.
    """
    size = pl.col("text").str.len_bytes().cast(pl.Int64)
    taken = size.cum_sum().over("lang", order_by=["u", "doc_id"])
    chosen = pl.DataFrame(schema={"doc_id": pl.String, "lang": pl.String, "text": pl.String, "u": pl.Float64})
    for batch in batches:
        drawn = draw.uniform(batch["doc_id"], salt="tokenizer", seed=seed)
        candidates = batch.select("doc_id", "lang", "text").with_columns(u=drawn)
        chosen = pl.concat([chosen, candidates]).filter(taken <= bytes_per_language)
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

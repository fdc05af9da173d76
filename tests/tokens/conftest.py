"""A small tokenizer, trained on real text: a Chinese novel and a module of the standard library."""

import argparse
from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.config import config_dir, load
from phoenix_assets.tokens.bpe import train_bpe
from phoenix_assets.tokens.config import TokenizerConfig, TokensConfig

CHINESE = (Path(__file__).parents[1] / "tag" / "data" / "novel_zh.txt").read_text("utf-8").splitlines()
ENGLISH = Path(argparse.__file__).read_text("utf-8").split("\n\n")


@pytest.fixture(scope="session")
def texts() -> pl.Series:
    return pl.Series([*CHINESE, *ENGLISH])


@pytest.fixture(scope="session")
def tokenizer_config() -> TokenizerConfig:
    return load(TokenizerConfig, config_dir() / "tokenizer.yaml").model_copy(update={"vocab_size": 1500})


@pytest.fixture(scope="session")
def tokens_config() -> TokensConfig:
    return load(TokensConfig, config_dir() / "tokens.yaml").model_copy(
        update={"batch_documents": 64, "shard_tokens": 5000}
    )


@pytest.fixture(scope="session")
def tokenizer_json(texts: pl.Series, tokenizer_config: TokenizerConfig) -> bytes:
    return train_bpe(texts, tokenizer_config)

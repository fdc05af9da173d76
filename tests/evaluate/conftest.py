"""A small real tokenizer, a small real Llama, and short real documents."""

from pathlib import Path

import polars as pl
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from phoenix_assets.evaluate.config import EvaluationConfig

EOD = "<|endoftext|>"
CONTEXT = 96
TEXTS = {
    ("zh", "wiki"): [
        "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。",
        "滚滚长江东逝水，浪花淘尽英雄。是非成败转头空。青山依旧在，几度夕阳红。",
    ],
    ("zh", "book"): ["白日依山尽，黄河入海流。欲穷千里目，更上一层楼。" * 4],
    ("en", "wiki"): [
        "The assert statement is a convenient way to insert debugging assertions into a program.",
        "It was the best of times, it was the worst of times, it was the age of wisdom. " * 3,
    ],
    ("en", "book"): ["Call me Ishmael.", "a"],
}


@pytest.fixture(scope="session")
def documents() -> pl.DataFrame:
    rows = [(lang, source, text) for (lang, source), texts in TEXTS.items() for text in texts]
    table = pl.DataFrame(rows, schema=["lang", "source", "text"], orient="row")
    return table.with_columns(doc_id=pl.format("{}", pl.int_range(pl.len()) * 7 % 10))


@pytest.fixture(scope="session")
def tokenizer_json(documents, tmp_path_factory) -> Path:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=[EOD], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(documents["text"].to_list(), trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def new_model(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=320,
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            initializer_range=0.3,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    new_model(3).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def config() -> EvaluationConfig:
    return EvaluationConfig.model_validate(
        {
            "languages": ["zh", "en"],
            "max_documents": 100,
            "document_characters": 1_000_000,
            "top_k": [1, 5],
            "eod": EOD,
            "context": 32,
            "batch_tokens": 128,
            "batch_documents": 3,
            "device": "cpu",
            "precision": "float32",
        }
    )

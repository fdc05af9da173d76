"""Parity: an export that encodes otherwise than the tokenizer of the token shards is found, and named."""

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from tokenizers import Tokenizer, normalizers
from transformers import LlamaTokenizerFast

from phoenix_assets.config import config_dir, load
from phoenix_assets.tokens.checks import SAME_IDS, loaders_agree
from phoenix_assets.tokens.config import OddStrings, TokenizerConfig
from phoenix_assets.tokens.parity import compared_texts, differences, load_every_way
from phoenix_assets.tokens.sentencepiece_model import tokenizer_of_sentencepiece

ODD = load(OddStrings, config_dir() / "odd_strings.yaml").all()


def delivered(folder: Path, model: bytes) -> Path:
    """What `models/tokenizer` has of a SentencePiece model."""
    (folder / "source").mkdir()
    (folder / "source" / "tokenizer.model").write_bytes(model)
    (folder / "tokenizer.json").write_bytes(tokenizer_of_sentencepiece(model))
    return folder


def found(folder: Path, texts: pl.Series, eod: str) -> pl.DataFrame:
    compared = compared_texts(folder, ODD, texts, 500)
    return differences(compared, load_every_way(folder, eod).encoders, 3)


def test_our_own_tokenizer_is_the_same_however_it_is_loaded(
    tokenizer_json: bytes, texts: pl.Series, tmp_path: Path
):
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json)
    loaded = load_every_way(tmp_path, "<|endoftext|>")
    assert list(loaded.encoders) == ["tokenizers", "fastokens", "transformers fast class", "AutoTokenizer"]
    assert loaded.failed == {}
    assert found(tmp_path, texts, "<|endoftext|>").is_empty()


def test_a_sentencepiece_model_is_the_same_however_it_is_loaded(
    sentencepiece_models: dict[str, bytes], texts: pl.Series, tmp_path: Path
):
    folder = delivered(tmp_path, sentencepiece_models["bpe_identity"])
    assert "sentencepiece" in load_every_way(folder, "</s>").encoders
    assert found(folder, texts, "</s>").is_empty()


def test_a_llama_fast_class_made_from_a_model_with_another_normaliser_is_found(
    sentencepiece_models: dict[str, bytes], texts: pl.Series, tmp_path: Path
):
    folder = delivered(tmp_path, sentencepiece_models["bpe_nfkc"])
    model = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]
    llama = LlamaTokenizerFast(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    llama.backend_tokenizer.save(str(folder / "tokenizer.json"))
    rows = found(folder, texts, "</s>").filter(pl.col("loader") == "sentencepiece")
    assert rows.height == 3
    assert rows["texts"][0] > 10
    every = differences(["ＡＢＣ１２３"], load_every_way(folder, "</s>").encoders, 1)
    assert every.filter(pl.col("loader") == "sentencepiece")["text"].to_list() == ["'ＡＢＣ１２３'"]
    assert (every["reference"] != every["found"]).all()


def test_a_normaliser_that_the_delivered_folder_alone_has_is_found(
    tokenizer_json: bytes, texts: pl.Series, tmp_path: Path
):
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json)
    (tmp_path / "source").mkdir()
    other = Tokenizer.from_str(tokenizer_json.decode())
    other.normalizer = normalizers.NFC()
    other.save(str(tmp_path / "source" / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "source" / "tokenizer_config.json").write_text(json.dumps(settings))
    rows = found(tmp_path, texts, "<|endoftext|>")
    assert set(rows["loader"]) == {"AutoTokenizer, as delivered"}
    assert "'e\u0301'" in rows["text"].to_list()


def test_a_way_that_cannot_be_loaded_is_named_with_its_reason(tokenizer_json: bytes, tmp_path: Path):
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "tokenizer_config.json").write_text("{}")
    failed = load_every_way(tmp_path, "<|endoftext|>").failed
    assert list(failed) == ["AutoTokenizer, as delivered"]
    assert failed["AutoTokenizer, as delivered"]


@pytest.mark.parametrize("broken", [False, True])
def test_the_check_of_the_asset_passes_or_shows_the_first_texts_that_differ(
    tokenizer_json: bytes, tokenizer_config: TokenizerConfig, texts: pl.Series, broken: bool, tmp_path: Path
):
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json)
    if broken:
        (tmp_path / "source").mkdir()
        other = Tokenizer.from_str(tokenizer_json.decode())
        other.normalizer = normalizers.Strip()
        other.save(str(tmp_path / "source" / "tokenizer.json"))
        (tmp_path / "source" / "tokenizer_config.json").write_text(
            '{"tokenizer_class": "PreTrainedTokenizerFast"}'
        )
    settings = tokenizer_config.model_copy(update={"checked_lines": 50})
    result = loaders_agree(dg.AssetKey(["models", "tokenizer"]), tmp_path, settings, texts)
    assert (result.check_name, result.passed) == (SAME_IDS, not broken)
    assert ("as delivered" in str(result.metadata["differences"].value)) == broken

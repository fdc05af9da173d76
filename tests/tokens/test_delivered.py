"""A tokenizer of somebody else: taken as a file, a folder or a SentencePiece model, and only if it is the right one."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest
from sentencepiece import SentencePieceProcessor

from phoenix_assets.errors import ConfigError, PhoenixError
from phoenix_assets.pretrained import PretrainedModel, files_digest
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.delivered import take_tokenizer
from phoenix_assets.tokens.encoding import encode, load_tokenizer
from phoenix_assets.tokens.sentencepiece_model import tokenizer_of_sentencepiece


@pytest.fixture(autouse=True)
def config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    monkeypatch.setenv("PHOENIX_CONFIG", str(folder))
    return folder


def named(location: str, sha256: str) -> PretrainedModel:
    return PretrainedModel(location=location, sha256=sha256, licence="Apache-2.0")


def test_a_tokenizer_json_is_taken_as_it_is(config_folder: Path, tokenizer_json: bytes, tmp_path: Path):
    (config_folder / "theirs.json").write_bytes(tokenizer_json)
    digest = hashlib.sha256(tokenizer_json).hexdigest()
    take_tokenizer(named("theirs.json", digest), "<|endoftext|>", tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == tokenizer_json


def test_a_folder_is_recognised_by_what_decides_its_ids_and_leaves_weights_behind(
    config_folder: Path, tokenizer_json: bytes, tmp_path: Path
):
    folder = config_folder / "theirs"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(tokenizer_json)
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    names = ["tokenizer.json", "tokenizer_config.json"]
    printed = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True).stdout
    digest = hashlib.sha256(printed).hexdigest()
    assert files_digest([folder / name for name in names]) == digest
    take_tokenizer(named("theirs", digest), "<|endoftext|>", tmp_path / "out")
    taken = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert taken == {"tokenizer.json", "tokenizer_config.json"}


def test_a_sentencepiece_model_encodes_as_sentencepiece_does(
    config_folder: Path,
    sentencepiece_models: dict[str, bytes],
    texts: pl.Series,
    tokens_config: TokensConfig,
    tmp_path: Path,
):
    model = sentencepiece_models["bpe_identity"]
    (config_folder / "theirs.model").write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    take_tokenizer(named("theirs.model", digest), "</s>", tmp_path / "out")
    encoded = encode(texts, tmp_path / "out" / "tokenizer.json", tokens_config)
    expected = SentencePieceProcessor(model_proto=model).encode(texts.to_list())
    assert encoded.lengths.tolist() == [len(ids) for ids in expected]
    assert encoded.ids.tolist() == [number for ids in expected for number in ids]


def test_a_unigram_model_differs_from_sentencepiece_only_where_two_splits_are_as_likely(
    sentencepiece_models: dict[str, bytes], texts: pl.Series
):
    model = sentencepiece_models["unigram_identity"]
    processor = SentencePieceProcessor(model_proto=model)
    tokenizer = load_tokenizer(tokenizer_of_sentencepiece(model))
    found = [
        encoding.ids for encoding in tokenizer.encode_batch_fast(texts.to_list(), add_special_tokens=False)
    ]
    pairs = list(zip(found, processor.encode(texts.to_list()), strict=True))
    assert sum(ours == theirs for ours, theirs in pairs) > 0.95 * len(pairs)
    for ours, theirs in pairs:
        scores = [sum(map(processor.get_score, ids)) for ids in (ours, theirs)]
        assert scores[0] == pytest.approx(scores[1])


def test_another_tokenizer_than_the_configured_one_is_not_taken(
    config_folder: Path, tokenizer_json: bytes, tmp_path: Path
):
    (config_folder / "theirs.json").write_bytes(tokenizer_json)
    with pytest.raises(PhoenixError, match="SHA-256 is"):
        take_tokenizer(named("theirs.json", "0" * 64), "<|endoftext|>", tmp_path / "out")


def test_a_folder_without_a_tokenizer_is_refused(config_folder: Path, tmp_path: Path):
    (config_folder / "theirs").mkdir()
    with pytest.raises(ConfigError, match=r"has none of .*tokenizer\.json"):
        take_tokenizer(named("theirs", "0" * 64), "</s>", tmp_path / "out")
    (config_folder / "theirs" / "vocab.json").write_text("{}")
    digest = files_digest([config_folder / "theirs" / "vocab.json"])
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"neither tokenizer\.json nor tokenizer\.model"):
        take_tokenizer(named("theirs", digest), "</s>", tmp_path / "out")


def test_a_tokenizer_without_the_end_of_document_is_not_taken(
    config_folder: Path, tokenizer_json: bytes, tmp_path: Path
):
    (config_folder / "theirs.json").write_bytes(tokenizer_json)
    digest = hashlib.sha256(tokenizer_json).hexdigest()
    with pytest.raises(ConfigError, match="no token '</s>'"):
        take_tokenizer(named("theirs.json", digest), "</s>", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 40])
def test_bytes_that_are_no_sentencepiece_model_are_refused(content: bytes):
    with pytest.raises(ConfigError, match=r"give the \.model file"):
        tokenizer_of_sentencepiece(content)

"""An extended vocabulary: saves the most tokens, keeps every old id, and has embeddings that start from what is known."""

from collections import Counter
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from phoenix_assets.errors import ConfigError
from phoenix_assets.tokens.config import ExtensionConfig
from phoenix_assets.tokens.embeddings import extend_embeddings
from phoenix_assets.tokens.encoding import FastEncoder, load_encoder, load_tokenizer
from phoenix_assets.tokens.extension import (
    EXTENSION,
    Extension,
    extend_tokenizer,
    saved_tokens,
    write_extension,
)
from phoenix_assets.tokens.sentencepiece_model import tokenizer_of_sentencepiece

EOD = "<|endoftext|>"
CONFIG = ExtensionConfig(
    mixture="v3", bytes_per_language=10**6, seed=1, tokens=60, added=("<|tool|>", "玄德")
)


@pytest.fixture(scope="module")
def extended(tokenizer_json: bytes, texts: pl.Series) -> Extension:
    return extend_tokenizer(tokenizer_json, texts, CONFIG)


def checkpoint(folder: Path, rows: int, *, tied: bool, dtype: torch.dtype = torch.float32) -> Path:
    torch.manual_seed(5)
    shape = LlamaConfig(
        vocab_size=rows,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
    )
    LlamaForCausalLM(shape).to(dtype).save_pretrained(folder)
    return folder


def words_of(tokenizer_json: bytes, texts: pl.Series) -> list[list[int]]:
    """The parent's ids, word by word, without a library's help."""
    words = []
    for encoding in load_tokenizer(tokenizer_json).encode_batch(texts.to_list(), add_special_tokens=False):
        pieces = zip(encoding.ids, encoding.word_ids, strict=True)
        words += [[number for number, _ in word] for _, word in groupby(pieces, key=itemgetter(1))]
    return words


def merged(word: list[int], left: int, right: int, new: int) -> list[int]:
    out: list[int] = []
    for number in word:
        if out and (out[-1], number) == (left, right):
            out[-1] = new
        else:
            out.append(number)
    return out


def test_each_merge_is_the_pair_that_saves_most_tokens(tokenizer_json: bytes, texts: pl.Series):
    made = extend_tokenizer(tokenizer_json, texts, CONFIG.model_copy(update={"added": (), "tokens": 12}))
    words = words_of(tokenizer_json, texts)
    for new in range(1500, 1512):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        (left, right), _ = max(pairs.items(), key=lambda item: (item[1], [-number for number in item[0]]))
        words = [merged(word, left, right, new) for word in words]
    best = sum(map(len, words))
    assert saved_tokens(texts, tokenizer_json, made.tokenizer_json)["tokens_after"] == best


def test_the_corpus_has_fewer_tokens_and_the_same_text(
    tokenizer_json: bytes, texts: pl.Series, extended: Extension
):
    counts = saved_tokens(texts, tokenizer_json, extended.tokenizer_json)
    assert counts["tokens_after"] <= counts["tokens_before"] - 10 * CONFIG.tokens
    tokenizer = load_tokenizer(extended.tokenizer_json)
    for text in texts[:200]:
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_old_encodings_are_decoded_as_before(tokenizer_json: bytes, texts: pl.Series, extended: Extension):
    old, new = load_tokenizer(tokenizer_json), load_tokenizer(extended.tokenizer_json)
    for text in texts[:200]:
        assert new.decode(old.encode(text).ids) == text
    assert {token: new.token_to_id(token) for token in old.get_vocab()} == old.get_vocab()


def test_what_a_new_token_was_encoded_by_is_the_parents_encoding_of_its_text(
    tokenizer_json: bytes, extended: Extension
):
    parent, tokenizer = load_tokenizer(tokenizer_json), load_tokenizer(extended.tokenizer_json)
    assert extended.rows.schema == EXTENSION
    assert extended.rows["id"].to_list() == list(range(1500, 1500 + extended.rows.height))
    for number, token, text, parts in extended.rows.iter_rows():
        assert tokenizer.token_to_id(token) == number
        assert parent.decode(parts, skip_special_tokens=False) == text
    assert [tokenizer.encode(token).ids for token in CONFIG.added] == [[1560], [1561]]


def test_the_fast_library_encodes_with_the_new_tokens_too(texts: pl.Series, extended: Extension):
    fast = load_encoder(extended.tokenizer_json)
    assert isinstance(fast, FastEncoder)
    ids, _ = fast(texts.to_list())
    reference = load_tokenizer(extended.tokenizer_json).encode_batch_fast(
        texts.to_list(), add_special_tokens=False
    )
    assert ids.tolist() == [number for encoding in reference for number in encoding.ids]
    assert (ids >= 1500).any()


def test_the_same_texts_in_any_order_give_the_same_bytes(
    tokenizer_json: bytes, texts: pl.Series, extended: Extension
):
    again = extend_tokenizer(tokenizer_json, reversed(texts.to_list()), CONFIG)
    assert again.tokenizer_json == extended.tokenizer_json
    assert again.rows.equals(extended.rows)


def test_no_rarer_pair_is_merged_than_allowed(tokenizer_json: bytes, texts: pl.Series):
    config = CONFIG.model_copy(update={"added": (), "tokens": 5000, "min_frequency": 6})
    made = extend_tokenizer(tokenizer_json, texts, config)
    ids = [number for word in words_of(made.tokenizer_json, texts) for number in word]
    assert 0 < made.rows.height < 5000
    counts = saved_tokens(texts, tokenizer_json, made.tokenizer_json)
    assert counts["tokens_before"] - counts["tokens_after"] >= 6 * made.rows.height
    assert len(ids) == counts["tokens_after"]


def test_sentencepiece_tokens_are_not_merged_across_words_or_out_of_bytes(
    sentencepiece_models: dict[str, bytes], texts: pl.Series
):
    parent = tokenizer_of_sentencepiece(sentencepiece_models["bpe_identity"])
    made = extend_tokenizer(parent, texts, CONFIG.model_copy(update={"added": ()}))
    assert made.rows.height > 0
    assert not made.rows["token"].str.contains(".▁|<0x").any()
    tokenizer = load_tokenizer(made.tokenizer_json)
    assert [tokenizer.decode(tokenizer.encode(text).ids) for text in texts[:50]] == texts[:50].to_list()


def test_a_parent_that_is_no_byte_pair_encoding_or_has_the_token_is_refused(tokenizer_json: bytes):
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0)], unk_id=0)).to_str().encode()
    with pytest.raises(ConfigError, match="model is Unigram"):
        extend_tokenizer(unigram, [], CONFIG)
    with pytest.raises(ConfigError, match="'e' is in the parent's vocabulary"):
        extend_tokenizer(tokenizer_json, [], CONFIG.model_copy(update={"tokens": 0, "added": ("e",)}))


@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_are_the_means_of_what_the_token_was_encoded_by(
    extended: Extension, tied: bool, tmp_path: Path
):
    parent = checkpoint(tmp_path / "parent", 1500, tied=tied)
    write_extension(extended, tmp_path / "out", EOD, parent)
    before = AutoModelForCausalLM.from_pretrained(parent)
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    layers = [
        (before.get_input_embeddings().weight, after.get_input_embeddings().weight),
        (before.get_output_embeddings().weight, after.get_output_embeddings().weight),
    ]
    for old, new in layers:
        assert new.shape == (1562, 16)
        assert torch.equal(new[:1500], old)
        for number, parts in extended.rows.select("id", "parts").iter_rows():
            assert torch.allclose(new[number], old[parts].mean(dim=0))
    assert after.config.vocab_size == 1562
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = tokenizer("玄德曰：“a”", return_tensors="pt")["input_ids"]
    assert 1561 in ids
    assert torch.isfinite(after(ids).logits).all()


def test_spare_rows_of_the_checkpoint_are_used_and_its_number_format_stays(
    extended: Extension, tmp_path: Path
):
    parent = checkpoint(tmp_path / "parent", 1600, tied=False, dtype=torch.bfloat16)
    assert extend_embeddings(parent, extended.rows, tmp_path / "out") == 1600
    weight = (
        AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto").get_input_embeddings().weight
    )
    assert weight.dtype == torch.bfloat16
    old = AutoModelForCausalLM.from_pretrained(parent, dtype="auto").get_input_embeddings().weight
    assert torch.equal(weight[1562:], old[1562:])
    assert not torch.equal(weight[1500:1562], old[1500:1562])


def test_a_checkpoint_of_another_tokenizer_is_refused(extended: Extension, tmp_path: Path):
    parent = checkpoint(tmp_path / "parent", 300, tied=True)
    with pytest.raises(ConfigError, match="has 300 rows of embeddings"):
        extend_embeddings(parent, extended.rows, tmp_path / "out")


def test_without_a_checkpoint_only_the_tokenizer_is_written(extended: Extension, tmp_path: Path):
    write_extension(extended, tmp_path, EOD, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "extension.parquet",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert np.array_equal(pl.read_parquet(tmp_path / "extension.parquet")["id"], extended.rows["id"])


@pytest.mark.parametrize(
    "values", [{"tokens": 0, "added": ()}, {"added": ("",)}, {"added": ("a", "a")}], ids=str
)
def test_an_extension_that_adds_nothing_or_twice_is_refused(values: dict):
    with pytest.raises(ValueError, match=r"nothing is added|empty or comes twice"):
        ExtensionConfig.model_validate(CONFIG.model_dump() | values)

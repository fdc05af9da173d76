"""Encoding: the fast library gives the reference's ids, whatever the text; what it does not know, the reference does."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from phoenix_assets.config import config_dir, load
from phoenix_assets.errors import ConfigError
from phoenix_assets.tokens.config import EncoderKind, OddStrings, TokensConfig
from phoenix_assets.tokens.encoding import FastEncoder, ReferenceEncoder, encode, load_encoder, number_format
from training_jobs.tokenizer_export import token_id, vocabulary_size

ODD = load(OddStrings, config_dir() / "odd_strings.yaml").all()


def both(texts: list[str], tokenizer_json: bytes) -> list[tuple[list[int], list[int]]]:
    encoders = (
        load_encoder(tokenizer_json, EncoderKind.FAST),
        load_encoder(tokenizer_json, EncoderKind.REFERENCE),
    )
    assert isinstance(encoders[0], FastEncoder)
    return [(ids.tolist(), lengths.tolist()) for ids, lengths in (encoder(texts) for encoder in encoders)]


def test_both_libraries_give_the_same_ids_for_real_text_and_odd_strings(
    texts: pl.Series, tokenizer_json: bytes
):
    fast, reference = both([*texts, *ODD, "a<|endoftext|>b"], tokenizer_json)
    assert fast == reference


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.text(), max_size=5))
def test_both_libraries_give_the_same_ids_for_any_string(tokenizer_json: bytes, texts: list[str]):
    fast, reference = both(texts, tokenizer_json)
    assert fast == reference


def test_both_libraries_give_the_same_ids_for_any_code_point(tokenizer_json: bytes):
    planes = [chr(point) for point in range(0x30000) if not 0xD800 <= point < 0xE000]
    blocks = ["a" + " ".join(planes[start : start + 256]) for start in range(0, len(planes), 256)]
    fast, reference = both(blocks, tokenizer_json)
    assert fast == reference


def test_a_document_of_ten_million_characters_is_encoded_whole(
    tokenizer_json: bytes, tokens_config: TokensConfig
):
    text = "第三回 Chapter 12\n，" * 625_000
    encoded = encode(pl.Series([text, "x"]), tokenizer_json, tokens_config)
    one = encode(pl.Series(["第三回 Chapter 12\n，"]), tokenizer_json, tokens_config)
    assert len(text) == 10_000_000
    assert encoded.lengths.sum() == len(encoded.ids)
    assert encoded.lengths[0] == pytest.approx(625_000 * int(one.lengths[0]), rel=0.1)


def test_a_lone_surrogate_never_comes_as_far_as_the_tokenizer():
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        pl.Series(["\ud800"])


def test_a_model_that_the_fast_library_does_not_know_is_encoded_by_the_reference(tokens_config: TokensConfig):
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -2.0), ("ab", -2.5)], unk_id=0))
    content = unigram.to_str().encode()
    assert isinstance(load_encoder(content), ReferenceEncoder)
    assert encode(pl.Series(["abb", None]), content, tokens_config).ids.tolist() == [3, 2]


def test_a_gap_in_the_vocabulary_counts_for_the_number_format(tokenizer_json: bytes):
    content = json.loads(tokenizer_json)
    content["model"]["vocab"]["far"] = 70_000
    gapped = json.dumps(content).encode()
    assert vocabulary_size(Tokenizer.from_str(gapped.decode())) == 70_001
    assert number_format(gapped) == np.int32


def test_a_tokenizer_that_cuts_or_pads_does_neither_here(tokenizer_json: bytes, tokens_config: TokensConfig):
    cutting = Tokenizer.from_str(tokenizer_json.decode())
    cutting.enable_truncation(4)
    cutting.enable_padding(length=4)
    texts = pl.Series(["import argparse, sys, os, re", "a"])
    same = encode(texts, cutting.to_str().encode(), tokens_config)
    assert same.lengths.tolist() == encode(texts, tokenizer_json, tokens_config).lengths.tolist()


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(ConfigError, match=r"give a whole tokenizer\.json"):
        load_encoder(b'{"model": 1}')


def test_a_token_that_is_not_there_is_refused(tokenizer_json: bytes):
    with pytest.raises(ConfigError, match="no token '</s>'"):
        token_id(Tokenizer.from_str(tokenizer_json.decode()), "</s>")
